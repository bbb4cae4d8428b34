import { hash, randomBytes } from 'node:crypto';
import { access, constants, link, readdir, readFile, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Vault } from '../../core/ports/vault.ts';
import { hasCode, makeFolder, shred, syncFolder, translated, unlessMissing, writeNew } from './disk.ts';
import { fileAnchors } from './file-anchors.ts';
import { encodeRecord, formerWrap, lastRecord } from './key-file.ts';
import { keyFilesIn, keyFolders } from './key-folder.ts';
import type { KeptKey, KeyStore } from './key-store.ts';
import type { Keyring } from './keyring.ts';
import { replaceIn } from './replace-in-file.ts';
import { createVault } from './vault.ts';

/** Where the files of one authorization lie: 256 folders, and a hash as name, so that no id can lead out of them. */
type Place = { readonly folder: string; readonly name: string; readonly file: string };

/** Looks at a file without a whole record: somebody may be erasing it at this moment, and then it is gone at the next. */
const LOOKS_MAX = 3;

/** A vault of files. @throws PerennialError as {@link openFileKeyStore} */
export async function openFileVault({
  directory,
  keyring,
}: {
  readonly directory: string;
  readonly keyring: Keyring;
}): Promise<Vault> {
  return createVault({ keyring, keys: await openFileKeyStore(directory) });
}

/**
 * One file per authorization. The directory has to be on a file system with hard links, and apart from the database's backups.
 * @throws PerennialError `internal` when the directory cannot be made or written.
 */
export async function openFileKeyStore(directory: string): Promise<KeyStore> {
  const ping = () => translated(() => access(directory, constants.R_OK | constants.W_OK | constants.X_OK));
  await translated(() => makeFolder(directory));
  await ping();
  const placeOf = (authorizationId: string): Place => {
    const name = hash('sha256', authorizationId, 'hex');
    const folder = join(directory, name.slice(0, 2));
    return { folder, name, file: join(folder, `${name}.key`) };
  };
  return {
    ping,
    ...fileAnchors(directory),
    close: async () => undefined,
    keep: (key) => translated(() => keep({ place: placeOf(key.authorizationId), record: encodeRecord(key) })),
    find: (authorizationId) => translated(() => find({ file: placeOf(authorizationId).file, authorizationId })),
    has: (authorizationId) =>
      translated(async () => (await unlessMissing(stat(placeOf(authorizationId).file))) !== null),
    list: (page) => translated(() => list({ directory, ...page })),
    replace: (value) => translated(() => replaceIn({ file: placeOf(value.authorizationId).file, ...value })),
    destroy: (authorizationId) => translated(() => destroy(placeOf(authorizationId))),
    // A file that was shredded holds no place.
    reclaim: async () => undefined,
  };
}

/** A finished draft is linked to its name: the link fails when the name is taken, and nobody ever reads half a key. */
async function keep({
  place: { folder, name, file },
  record,
}: {
  readonly place: Place;
  readonly record: Uint8Array;
}): Promise<void> {
  await makeFolder(folder);
  const draft = join(folder, `${name}.${randomBytes(8).toString('hex')}.draft`);
  try {
    await writeNew({ file: draft, bytes: record });
    await link(draft, file).catch((error: unknown) => {
      if (!hasCode(error, 'EEXIST')) throw error;
    });
  } finally {
    await unlink(draft);
  }
  await syncFolder(folder);
}

async function find({
  file,
  authorizationId,
}: {
  readonly file: string;
  readonly authorizationId: string;
}): Promise<Uint8Array | null> {
  let bytes: Buffer | null = null;
  for (let looks = 1; looks <= LOOKS_MAX; looks += 1) {
    bytes = await unlessMissing(readFile(file));
    if (bytes === null) return null;
    const record = lastRecord(bytes);
    if (record !== null) return record.wrapped;
    const former = formerWrap(bytes);
    if (former === null) continue;
    // Written anew with its owner's name, without which a rotation could not open it.
    await replaceIn({ file, authorizationId, expected: former, wrapped: former });
    return former;
  }
  // No key: whoever unwraps it is told so.
  return bytes;
}

/** In the order of the file names. Entries that vanish meanwhile are left out. */
async function list({
  directory,
  after,
  limit,
}: {
  readonly directory: string;
  readonly after: string | null;
  readonly limit: number;
}): ReturnType<KeyStore['list']> {
  const kept: KeptKey[] = [];
  for (const folder of await keyFolders(directory)) {
    if (after !== null && folder < after.slice(0, 2)) continue;
    for (const name of await keyFilesIn(join(directory, folder))) {
      if (after !== null && name <= after) continue;
      const key = await keptIn(join(directory, folder, name));
      if (key !== null) kept.push(key);
      if (kept.length >= limit) return { kept, next: name };
    }
  }
  return { kept, next: null };
}

async function keptIn(file: string): Promise<KeptKey | null> {
  const bytes = await unlessMissing(readFile(file));
  if (bytes === null) return null;
  const record = lastRecord(bytes);
  if (record !== null) return record;
  return { authorizationId: null, wrapped: formerWrap(bytes) ?? bytes, unfinished: false };
}

/** Drafts that a crash left behind go too; returns when the disk has it all. */
async function destroy({ folder, name }: Place): Promise<void> {
  for (const entry of (await unlessMissing(readdir(folder))) ?? []) {
    if (entry.startsWith(`${name}.`)) await shred(join(folder, entry));
  }
  await unlessMissing(syncFolder(folder));
}
