import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PerennialError } from '../../core/errors.ts';

/** Writes a new file; its bytes are on the disk when this resolves. Fails when the name is taken. */
export async function writeNew({ file, bytes }: { readonly file: string; readonly bytes: Uint8Array }): Promise<void> {
  const handle = await open(file, 'wx', 0o600);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Overwrites before it unlinks, and once more after: what somebody with the file open appended meanwhile goes too. */
export async function shred(file: string): Promise<void> {
  const handle = await unlessMissing(open(file, 'r+'));
  if (handle === null) return;
  try {
    await overwriteWithNoise(handle);
    await unlessMissing(unlink(file));
    await overwriteWithNoise(handle);
  } finally {
    await handle.close();
  }
}

async function overwriteWithNoise(handle: FileHandle): Promise<void> {
  const { size } = await handle.stat();
  await writeAt({ handle, at: 0, bytes: randomBytes(size) });
}

/** Writes all of `bytes` at a place; on the disk when this resolves. */
export async function writeAt({
  handle,
  at,
  bytes,
}: {
  readonly handle: FileHandle;
  readonly at: number;
  readonly bytes: Uint8Array;
}): Promise<void> {
  for (let written = 0; written < bytes.byteLength; ) {
    const { bytesWritten } = await handle.write(bytes, written, bytes.byteLength - written, at + written);
    written += bytesWritten;
  }
  await handle.sync();
}

/** All bytes of an open file, wherever it was read before. */
export async function readWhole(handle: FileHandle): Promise<Buffer> {
  const { size } = await handle.stat();
  const bytes = Buffer.alloc(size);
  const { bytesRead } = await handle.read(bytes, 0, size, 0);
  return bytes.subarray(0, bytesRead);
}

/** Makes a folder for this user only; its entry is on the disk when this resolves. */
export async function makeFolder(folder: string): Promise<void> {
  const made = await mkdir(folder, { recursive: true, mode: 0o700 });
  if (made !== undefined) await syncFolder(dirname(made));
}

export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Null in place of a file or folder that is not there. */
export async function unlessMissing<T>(action: Promise<T>): Promise<T | null> {
  try {
    return await action;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  }
}

export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.some((code) => code === error.code);
}

/** The file system's errors name paths: ours names the key store. */
export async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof PerennialError ? error : new PerennialError('internal', { field: 'key store' });
  }
}
