import { type FileHandle, link, open as openFile, rm } from 'node:fs/promises';
import type { ProofApi } from '../client/proof.ts';
import { auditEventOf } from './audit-event.ts';
import { UsageError } from './read-json.ts';
import { entriesOf } from './walk-proof.ts';

const limits = {
  /** Lines are written together. */
  flushChars: 256 * 1_024,
  /** Who read what: for the owner's eyes. */
  fileMode: 0o600,
} as const;

/**
 * Writes chains of the audit trail as NDJSON of FHIR R4 AuditEvents and says how many. The file gets its name when all is written, and takes the place of none.
 * @throws UsageError naming the file.
 */
export async function writeAuditEvents({
  api,
  file,
  chains,
}: {
  readonly api: ProofApi;
  readonly file: string;
  readonly chains: readonly string[];
}): Promise<number> {
  const partial = `${file}.partial`;
  const handle = await named(file, openFile(partial, 'wx', limits.fileMode));
  try {
    const count = await writeAll({ api, handle, chains });
    await handle.sync();
    await named(file, link(partial, file));
    return count;
  } finally {
    await handle.close();
    await rm(partial, { force: true });
  }
}

async function writeAll({
  api,
  handle,
  chains,
}: {
  readonly api: ProofApi;
  readonly handle: FileHandle;
  readonly chains: readonly string[];
}): Promise<number> {
  let count = 0;
  let held = '';
  for (const chain of chains) {
    for await (const entry of entriesOf({ api, chain })) {
      held += `${JSON.stringify(auditEventOf(entry))}\n`;
      count += 1;
      if (held.length < limits.flushChars) continue;
      await handle.appendFile(held);
      held = '';
    }
  }
  await handle.appendFile(held);
  return count;
}

async function named<T>(file: string, writing: Promise<T>): Promise<T> {
  try {
    return await writing;
  } catch {
    throw new UsageError(`${file} cannot be written, or is there already`);
  }
}
