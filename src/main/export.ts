import { type FileHandle, mkdir, open as openFile, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { RecordsAnswer } from '../client/http.ts';
import { PerennialUnreachable } from '../client/unreachable.ts';
import { resourceTypeSchema } from '../contract/records.ts';
import { PerennialError } from '../core/errors.ts';
import { UsageError } from './read-json.ts';

const limits = {
  /** Lines of one type are written together. */
  flushBytes: 256 * 1_024,
  /** Health data: for the owner's eyes. */
  fileMode: 0o600,
  folderMode: 0o700,
} as const;

const LINE_FEED = 0x0a;
const MANIFEST = 'manifest.json';

/** The manifest of a Bulk Data export, its files beside it by their names. */
export type ExportManifest = {
  readonly transactionTime: string;
  readonly request: string;
  readonly requiresAccessToken: false;
  readonly output: readonly { readonly type: string; readonly url: string; readonly count: number }[];
  readonly error: readonly never[];
  /** Where to go on: what the export lacks, the changes after this cursor tell. */
  readonly extension: { readonly cursor: number };
};

type File = { readonly handle: FileHandle; held: Uint8Array[]; heldBytes: number; count: number };

/**
 * Writes records as one NDJSON file per resource type and a manifest, which comes last: a folder with a manifest is a whole export. Files get their names when all
 * is read; what a failure leaves is taken away.
 * @throws UsageError for a folder that is not empty, because files of an older export beside new ones would look like one export.
 */
export async function writeExport({
  folder,
  request,
  open,
}: {
  readonly folder: string;
  readonly request: string;
  readonly open: () => Promise<RecordsAnswer>;
}): Promise<ExportManifest> {
  const isNew = await asEmptyFolder(folder);
  const files = new Map<string, File>();
  try {
    const answer = await open();
    for await (const line of linesOf(answer.chunks)) await addLine({ folder, files, line });
    const output = await closeAll({ folder, files });
    const transactionTime = instantOf(answer.readAt);
    const extension = { cursor: answer.cursor };
    const manifest = { transactionTime, request, requiresAccessToken: false, output, error: [], extension } as const;
    await writeManifest({ folder, manifest });
    return manifest;
  } catch (error) {
    await takeAway({ folder, files, isNew });
    const isKnown = [PerennialError, PerennialUnreachable, UsageError].some((known) => error instanceof known);
    throw isKnown ? error : new UsageError(`${folder} cannot be written`);
  }
}

/** Whether the folder had to be made. */
async function asEmptyFolder(folder: string): Promise<boolean> {
  try {
    const made = await mkdir(folder, { recursive: true, mode: limits.folderMode });
    if (made !== undefined) return true;
    if ((await readdir(folder)).length === 0) return false;
  } catch {
    throw new UsageError(`${folder} cannot be written`);
  }
  throw new UsageError(`${folder} is not empty`);
}

/** Lines without their ends, also where they are longer than a chunk. */
async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let begun: Uint8Array[] = [];
  for await (const chunk of chunks) {
    let from = 0;
    for (let at = chunk.indexOf(LINE_FEED); at !== -1; at = chunk.indexOf(LINE_FEED, from)) {
      yield Buffer.concat([...begun, chunk.subarray(from, at)]);
      begun = [];
      from = at + 1;
    }
    if (from < chunk.length) begun.push(chunk.subarray(from));
  }
  // Every line has its end: what is left over was cut short.
  if (begun.length > 0) throw new PerennialUnreachable();
}

async function addLine({
  folder,
  files,
  line,
}: {
  readonly folder: string;
  readonly files: Map<string, File>;
  readonly line: Buffer;
}): Promise<void> {
  const type = typeOf(line);
  let file = files.get(type);
  if (file === undefined) {
    const handle = await openFile(join(folder, partialOf(nameOf(type))), 'wx', limits.fileMode);
    file = { handle, held: [], heldBytes: 0, count: 0 };
    files.set(type, file);
  }
  file.held.push(line, Buffer.of(LINE_FEED));
  file.heldBytes += line.length + 1;
  file.count += 1;
  if (file.heldBytes >= limits.flushBytes) await flush(file);
}

/** The type becomes part of a file's name, so it is checked, whoever sent it. */
function typeOf(line: Buffer): string {
  const wrong = () => new PerennialError('internal', { field: 'an answer that is not of this version' });
  let resource: unknown;
  try {
    resource = JSON.parse(line.toString('utf8'));
  } catch {
    throw wrong();
  }
  const told: unknown =
    typeof resource === 'object' && resource !== null ? Reflect.get(resource, 'resourceType') : null;
  const parsed = resourceTypeSchema.safeParse(told);
  if (!parsed.success) throw wrong();
  return parsed.data;
}

async function flush(file: File): Promise<void> {
  await file.handle.appendFile(Buffer.concat(file.held, file.heldBytes));
  Object.assign(file, { held: [], heldBytes: 0 });
}

async function closeAll({
  folder,
  files,
}: {
  readonly folder: string;
  readonly files: ReadonlyMap<string, File>;
}): Promise<ExportManifest['output']> {
  const sorted = [...files].toSorted(([left], [right]) => (left < right ? -1 : 1));
  for (const [, file] of sorted) {
    await flush(file);
    await file.handle.sync();
    await file.handle.close();
  }
  for (const [type] of sorted) await rename(join(folder, partialOf(nameOf(type))), join(folder, nameOf(type)));
  return sorted.map(([type, { count }]) => ({ type, url: nameOf(type), count }));
}

async function writeManifest({
  folder,
  manifest,
}: {
  readonly folder: string;
  readonly manifest: ExportManifest;
}): Promise<void> {
  const handle = await openFile(join(folder, partialOf(MANIFEST)), 'wx', limits.fileMode);
  try {
    await handle.appendFile(`${JSON.stringify(manifest, null, 2)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(join(folder, partialOf(MANIFEST)), join(folder, MANIFEST));
}

/** The folder was empty: whatever has one of our names in it is ours. */
async function takeAway({
  folder,
  files,
  isNew,
}: {
  readonly folder: string;
  readonly files: ReadonlyMap<string, File>;
  readonly isNew: boolean;
}): Promise<void> {
  for (const { handle } of files.values()) await handle.close().catch(() => undefined);
  for (const name of [...[...files.keys()].map(nameOf), MANIFEST]) {
    for (const path of [name, partialOf(name)]) await rm(join(folder, path), { force: true }).catch(() => undefined);
  }
  if (isNew) await rmdir(folder).catch(() => undefined);
}

function nameOf(type: string): string {
  return `${type}.ndjson`;
}

function partialOf(name: string): string {
  return `.${name}.partial`;
}

function instantOf(readAt: string | null): string {
  const at = new Date(readAt ?? Number.NaN);
  if (Number.isNaN(at.getTime())) throw new PerennialError('internal', { field: 'the Date of the answer' });
  return at.toISOString();
}
