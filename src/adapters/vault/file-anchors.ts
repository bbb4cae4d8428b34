import { randomBytes } from 'node:crypto';
import { link, readdir, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Head } from '../../core/ports/notary.ts';
import type { Vault } from '../../core/ports/vault.ts';
import { hasCode, makeFolder, syncFolder, translated, unlessMissing, writeNew } from './disk.ts';

const NAME = /^([a-z0-9-]{1,64})\.(\d{1,15})\.json$/;
const headSchema = z.object({ chain: z.string(), seq: z.int().positive(), hash: z.string() });

/**
 * Chain heads beside the data keys: a file for each, which names chain and place. A later head is a file of its own and only then takes the earlier one away, so
 * that of any number of writers none can put an earlier head in the place of a later one.
 */
export function fileAnchors(directory: string): Pick<Vault, 'anchors' | 'anchor'> {
  const folder = join(directory, 'anchors');
  return {
    anchors: () => translated(async () => [...(await newest(folder)).values()]),
    anchor: (heads) => translated(() => note({ folder, heads })),
  };
}

async function note({ folder, heads }: { readonly folder: string; readonly heads: readonly Head[] }): Promise<void> {
  await makeFolder(folder);
  for (const head of heads) if (head.seq > 0) await writeHead({ folder, head });
  await syncFolder(folder);
  const kept = await newest(folder);
  for (const { name, chain, seq } of await placesIn(folder)) {
    if (seq < (kept.get(chain)?.seq ?? 0)) await unlessMissing(unlink(join(folder, name)));
  }
}

/** The first to note a place keeps it. */
async function writeHead({ folder, head }: { readonly folder: string; readonly head: Head }): Promise<void> {
  const draft = join(folder, `${randomBytes(8).toString('hex')}.draft`);
  try {
    await writeNew({ file: draft, bytes: Buffer.from(JSON.stringify(head)) });
    await link(draft, join(folder, `${head.chain}.${head.seq}.json`)).catch((error: unknown) => {
      if (!hasCode(error, 'EEXIST')) throw error;
    });
  } finally {
    await unlessMissing(unlink(draft));
  }
}

async function newest(folder: string): Promise<ReadonlyMap<string, Head>> {
  const found = new Map<string, Head>();
  for (const { name, chain, seq } of await placesIn(folder)) {
    if (seq <= (found.get(chain)?.seq ?? 0)) continue;
    const text = await unlessMissing(readFile(join(folder, name), 'utf8'));
    // One that is gone gave way to a later one.
    if (text !== null) found.set(chain, headSchema.parse(JSON.parse(text)));
  }
  return found;
}

async function placesIn(
  folder: string,
): Promise<readonly { readonly name: string; readonly chain: string; readonly seq: number }[]> {
  const names = (await unlessMissing(readdir(folder))) ?? [];
  return names.flatMap((name) => {
    const [, chain, seq] = NAME.exec(name) ?? [];
    return chain === undefined || seq === undefined ? [] : [{ name, chain, seq: Number(seq) }];
  });
}
