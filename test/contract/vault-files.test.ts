import { execFile } from 'node:child_process';
import { open, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openFileKeyStore, openFileVault } from '../../src/adapters/vault/file.ts';
import { encodeRecord, lastRecord } from '../../src/adapters/vault/key-file.ts';
import type { KeyStore } from '../../src/adapters/vault/key-store.ts';
import { createKeyring } from '../../src/adapters/vault/keyring.ts';
import { Secret } from '../../src/core/secret.ts';
import { temporaryFolder } from '../support/databases.ts';
import { bytesIn, fileOf } from './vault/key-files.ts';
import { resurrections } from './vault/races.ts';
import { rewrapAll } from './vault/rotation.ts';
import { keyringOf, markOf, newId, newKek } from './vault/samples.ts';

const RACER = join(import.meta.dirname, '../support/rotation-racer.ts');
const CONTROL_ROUNDS = 240;

async function folderOf(): Promise<string> {
  const folder = await temporaryFolder();
  onTestFinished(folder.remove);
  return join(folder.path, 'keys');
}

describe('a key file', () => {
  test('opens after a write that broke off at any byte, and the next rotation leaves nothing of it', async () => {
    const [directory, old, next] = [await folderOf(), newKek(), newKek()];
    const id = newId();
    const mark = markOf(await (await openFileVault({ directory, keyring: keyringOf(old) })).create(id));
    const file = fileOf(directory, id);
    const whole = await readFile(file);
    const oldWrap = lastRecord(whole)?.wrapped ?? new Uint8Array(0);
    const rotating = await openFileVault({ directory, keyring: keyringOf(next, old) });
    await rewrapAll(rotating, 1);
    const record = (await readFile(file)).subarray(whole.byteLength);
    for (let length = 0; length <= record.byteLength; length += 1) {
      await writeFile(file, Buffer.concat([whole, record.subarray(0, length)]));
      expect(markOf(await rotating.open(id)), `${length} bytes`).toBe(mark);
      const isWhole = length === record.byteLength;
      expect(await rewrapAll(rotating, 1)).toMatchObject(isWhole ? { current: 1 } : { rewrapped: 1 });
      expect(markOf(await rotating.open(id)), `${length} bytes, wrapped anew`).toBe(mark);
      expect((await readFile(file)).includes(oldWrap), `${length} bytes, the former wrap`).toBe(false);
    }
  });

  test('opens after a wipe of the former wrap that broke off at any byte, and the next rotation ends it', async () => {
    const [directory, old, next] = [await folderOf(), newKek(), newKek()];
    const id = newId();
    const mark = markOf(await (await openFileVault({ directory, keyring: keyringOf(old) })).create(id));
    const file = fileOf(directory, id);
    const whole = await readFile(file);
    const rotating = await openFileVault({ directory, keyring: keyringOf(next, old) });
    await rewrapAll(rotating, 1);
    const record = (await readFile(file)).subarray(whole.byteLength);
    for (let wiped = 0; wiped <= whole.byteLength; wiped += 1) {
      await writeFile(file, Buffer.concat([Buffer.alloc(wiped), whole.subarray(wiped), record]));
      expect(markOf(await rotating.open(id)), `${wiped} bytes`).toBe(mark);
      expect(await rewrapAll(rotating, 1)).toMatchObject({ rewrapped: 0, current: 1 });
      const left = await readFile(file);
      expect(left.subarray(0, whole.byteLength).every((byte) => byte === 0)).toBe(true);
      expect(markOf(await rotating.open(id)), `${wiped} bytes, cleared away`).toBe(mark);
    }
  });

  test('holds nothing of a former wrap once it is wrapped anew, under any name', async () => {
    const [directory, old, next] = [await folderOf(), newKek(), newKek()];
    const before = await openFileVault({ directory, keyring: keyringOf(old) });
    const ids = Array.from({ length: 20 }, newId);
    for (const id of ids) await before.create(id);
    const former = await Promise.all(ids.map(async (id) => lastRecord(await readFile(fileOf(directory, id)))));
    await rewrapAll(await openFileVault({ directory, keyring: keyringOf(next, old) }), 6);
    const bytes = await bytesIn(directory);
    const left = former.filter((record) => record === null || bytes.includes(record.wrapped.subarray(0, 20)));
    expect(left).toStrictEqual([]);
  });

  test('of the former format opens, and gets the name of its owner when it does, without which no rotation can', async () => {
    const [directory, old, next] = [await folderOf(), newKek(), newKek()];
    const keyring = keyringOf(old);
    const vault = await openFileVault({ directory, keyring });
    const [seen, unseen] = [newId(), newId()];
    const mark = markOf(await vault.create(seen));
    await vault.create(unseen);
    for (const id of [seen, unseen]) {
      const bytes = await readFile(fileOf(directory, id));
      await writeFile(fileOf(directory, id), lastRecord(bytes)?.wrapped ?? '');
    }
    expect(markOf(await vault.open(seen))).toBe(mark);
    const rotating = await openFileVault({ directory, keyring: keyringOf(next, old) });
    expect(await rewrapAll(rotating, 9)).toStrictEqual({ rewrapped: 1, current: 0, gone: 0, unreadable: 1 });
    await rotating.open(unseen);
    expect(await rewrapAll(rotating, 9)).toStrictEqual({ rewrapped: 1, current: 1, gone: 0, unreadable: 0 });
    expect(markOf(await rotating.open(seen))).toBe(mark);
  });

  test('control: a replacement by rename brings destroyed keys back, and the race sees it', async () => {
    const directory = await folderOf();
    const keys = await openFileKeyStore(directory);
    const byRename: KeyStore['replace'] = async ({ authorizationId, wrapped }) => {
      if (!(await keys.has(authorizationId))) return 'gone';
      const file = fileOf(directory, authorizationId);
      const draft = await open(`${file}.next`, 'w');
      await draft.writeFile(encodeRecord({ authorizationId, wrapped }));
      await draft.sync();
      await draft.close();
      await rename(`${file}.next`, file).catch(() => undefined);
      return 'replaced';
    };
    expect(await resurrections({ ...keys, replace: byRename }, CONTROL_ROUNDS)).toBeGreaterThan(0);
  });

  test('is wrapped anew by three processes at once while others are destroyed: what lives opens, what is destroyed is gone', async () => {
    const [directory, old, next] = [await folderOf(), newKek(), newKek()];
    const vault = await openFileVault({ directory, keyring: keyringOf(old) });
    const ids = Array.from({ length: 120 }, newId);
    const marks = new Map<string, string>();
    for (const id of ids) marks.set(id, markOf(await vault.create(id)));
    const racers = Array.from({ length: 3 }, () =>
      promisify(execFile)(process.execPath, [RACER, directory, next, old], { encoding: 'utf8' }),
    );
    const [doomed, living] = [ids.filter((_, index) => index % 2 === 0), ids.filter((_, index) => index % 2 === 1)];
    for (const id of doomed) await vault.destroy(id);
    const told = (await Promise.all(racers)).map(({ stdout }) => Number(stdout));
    const after = await openFileVault({ directory, keyring: createKeyring([{ id: 'k2', key: new Secret(next) }]) });
    for (const id of doomed) expect(await after.has(id), id).toBe(false);
    for (const id of living) expect(markOf(await after.open(id)), id).toBe(marks.get(id));
    expect(await rewrapAll(after, 50)).toStrictEqual({ rewrapped: 0, current: living.length, gone: 0, unreadable: 0 });
    // They raced, and did not find it all done. One that two wrap at the same time counts for both, and one that a third puts in order before its wrapper looks, for none.
    expect(told.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(living.length / 2);
  });
});
