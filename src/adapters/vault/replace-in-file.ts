import { randomBytes } from 'node:crypto';
import { constants, type FileHandle, open } from 'node:fs/promises';
import { readWhole, unlessMissing, writeAt } from './disk.ts';
import { encodeRecord, formerWrap, lastRecord } from './key-file.ts';
import type { KeyStore } from './key-store.ts';

type Replacement = Parameters<KeyStore['replace']>[0] & { readonly file: string };
/** One file, open for appending and for overwriting. */
type Open = { readonly appender: FileHandle; readonly editor: FileHandle };

/**
 * Puts a new wrap in the place of a former one without ever making a file: who destroyed it meanwhile has won. The new record is appended and on the disk before
 * the former one is wiped.
 */
export async function replaceIn({
  file,
  authorizationId,
  expected,
  wrapped,
}: Replacement): ReturnType<KeyStore['replace']> {
  const opened = await openBoth(file);
  if (opened === null) return 'gone';
  const { appender, editor } = opened;
  try {
    const before = await readWhole(editor);
    const present = lastRecord(before)?.wrapped ?? formerWrap(before);
    if (present === null || Buffer.compare(present, expected) !== 0) return await lostTo(editor);
    const record = encodeRecord({ authorizationId, wrapped });
    await appender.appendFile(record);
    await appender.sync();
    const at = (await readWhole(editor)).lastIndexOf(record);
    if ((await editor.stat()).nlink === 0) {
      // Whoever destroyed the file may have looked at its end before ours was there.
      if (at >= 0) await writeAt({ handle: editor, at, bytes: randomBytes(record.byteLength) });
      return 'gone';
    }
    if (at < 0) return 'changed';
    await writeAt({ handle: editor, at: 0, bytes: new Uint8Array(at) });
    return 'replaced';
  } finally {
    await appender.close();
    await editor.close();
  }
}

async function lostTo(handle: FileHandle): Promise<'gone' | 'changed'> {
  return (await handle.stat()).nlink === 0 ? 'gone' : 'changed';
}

/** What is appended and what is wiped have to be one file: between two openings of one name another may have come there. */
async function openBoth(file: string): Promise<Open | null> {
  const editor = await unlessMissing(open(file, 'r+'));
  if (editor === null) return null;
  const appender = await unlessMissing(open(file, constants.O_WRONLY | constants.O_APPEND));
  if (appender !== null && (await editor.stat()).ino === (await appender.stat()).ino) return { appender, editor };
  await appender?.close();
  await editor.close();
  return null;
}
