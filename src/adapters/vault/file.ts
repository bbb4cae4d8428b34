import { createHash, randomBytes } from 'node:crypto';
import { access, constants, link, mkdir, open, readdir, readFile, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PerennialError } from '../../core/errors.ts';
import type { Vault } from '../../core/ports/vault.ts';
import type { Keyring } from './keyring.ts';
import { createVault, type KeyStore } from './vault.ts';

/** Where the files of one authorization lie: 256 folders, and a hash as name, so that no id can lead out of them. */
type Place = { readonly folder: string; readonly name: string; readonly file: string };

/**
 * A vault of one file per authorization. The directory has to be on a file system with hard links, and apart from the database's backups.
 * @throws PerennialError `internal` when the directory cannot be made or written.
 */
export async function openFileVault({
  directory,
  keyring,
}: {
  readonly directory: string;
  readonly keyring: Keyring;
}): Promise<Vault> {
  const ping = () => translated(() => access(directory, constants.R_OK | constants.W_OK | constants.X_OK));
  await translated(() => makeFolder(directory));
  await ping();
  return createVault({ keyring, keys: fileKeyStore({ directory, ping }) });
}

function fileKeyStore({ directory, ping }: { readonly directory: string; readonly ping: Vault['ping'] }): KeyStore {
  const placeOf = (authorizationId: string): Place => {
    const name = createHash('sha256').update(authorizationId, 'utf8').digest('hex');
    const folder = join(directory, name.slice(0, 2));
    return { folder, name, file: join(folder, `${name}.key`) };
  };
  return {
    ping,
    close: async () => undefined,
    keep: ({ authorizationId, wrapped }) => translated(() => keep({ place: placeOf(authorizationId), wrapped })),
    find: (authorizationId) => translated(() => unlessMissing(readFile(placeOf(authorizationId).file))),
    has: (authorizationId) =>
      translated(async () => (await unlessMissing(stat(placeOf(authorizationId).file))) !== null),
    destroy: (authorizationId) => translated(() => destroy(placeOf(authorizationId))),
  };
}

/** A finished draft is linked to its name: the link fails when the name is taken, and nobody ever reads half a key. */
async function keep({
  place: { folder, name, file },
  wrapped,
}: {
  readonly place: Place;
  readonly wrapped: Uint8Array;
}): Promise<void> {
  await makeFolder(folder);
  const draft = join(folder, `${name}.${randomBytes(8).toString('hex')}.draft`);
  try {
    await write({ file: draft, flags: 'wx', bytes: wrapped });
    await link(draft, file).catch((error: unknown) => {
      if (!hasCode(error, 'EEXIST')) throw error;
    });
  } finally {
    await unlink(draft);
  }
  await syncFolder(folder);
}

/** Overwrites before it unlinks, drafts that a crash left behind included, and returns when the disk has both. */
async function destroy({ folder, name }: Place): Promise<void> {
  for (const entry of (await unlessMissing(readdir(folder))) ?? []) {
    if (!entry.startsWith(`${name}.`)) continue;
    const file = join(folder, entry);
    const known = await unlessMissing(stat(file));
    if (known === null) continue;
    await unlessMissing(write({ file, flags: 'r+', bytes: randomBytes(known.size) }));
    await unlessMissing(unlink(file));
  }
  await unlessMissing(syncFolder(folder));
}

async function write({
  file,
  flags,
  bytes,
}: {
  readonly file: string;
  readonly flags: 'wx' | 'r+';
  readonly bytes: Uint8Array;
}): Promise<void> {
  const handle = await open(file, flags, 0o600);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a folder for this user only; its entry is on the disk when this resolves. */
async function makeFolder(folder: string): Promise<void> {
  const made = await mkdir(folder, { recursive: true, mode: 0o700 });
  if (made !== undefined) await syncFolder(dirname(made));
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function unlessMissing<T>(action: Promise<T>): Promise<T | null> {
  try {
    return await action;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof PerennialError ? error : new PerennialError('internal', { field: 'key store' });
  }
}
