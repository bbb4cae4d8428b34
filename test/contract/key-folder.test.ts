import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openFileVault } from '../../src/adapters/vault/file.ts';
import { moveKeyFolder } from '../../src/adapters/vault/key-folder.ts';
import { temporaryFolder } from '../support/databases.ts';
import { keyringOf, markOf, newId, newKek } from './vault/samples.ts';

const refused = { code: 'config_invalid', field: expect.stringMatching(/^KEYS_DIR /) };
const keyring = keyringOf(newKek());

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let from: string;
let to: string;
beforeEach(async () => {
  folder = await temporaryFolder();
  [from, to] = [join(folder.path, 'data', 'keys'), join(folder.path, 'apart', 'keys')];
});
afterEach(() => folder.remove());

async function keyIn(directory: string): Promise<{ readonly id: string; readonly mark: string }> {
  const id = newId();
  return { id, mark: markOf(await (await openFileVault({ directory, keyring })).create(id)) };
}

describe('key files that lay under DATA_DIR', () => {
  test('are moved once, by whichever of the processes that start at once, and open where they come to lie', async () => {
    const { id, mark } = await keyIn(from);
    await Promise.all(Array.from({ length: 8 }, () => moveKeyFolder({ from, to })));
    await moveKeyFolder({ from, to });
    expect(markOf(await (await openFileVault({ directory: to, keyring })).open(id))).toBe(mark);
    expect(await readdir(join(folder.path, 'data'))).toStrictEqual([]);
  });

  test('go into a folder that is there and empty, such as a new volume', async () => {
    const { id, mark } = await keyIn(from);
    await mkdir(to, { recursive: true });
    await moveKeyFolder({ from, to });
    expect(markOf(await (await openFileVault({ directory: to, keyring })).open(id))).toBe(mark);
  });

  test('are left where they are, and the start refused, where the new folder holds keys too', async () => {
    const [former, present] = [await keyIn(from), await keyIn(to)];
    await expect(moveKeyFolder({ from, to })).rejects.toMatchObject(refused);
    for (const [directory, { id, mark }] of [[from, former] as const, [to, present] as const]) {
      expect(markOf(await (await openFileVault({ directory, keyring })).open(id))).toBe(mark);
    }
  });

  test('are left where they are, and the start refused, where they cannot take the place of what is there', async () => {
    const { id, mark } = await keyIn(from);
    await mkdir(to, { recursive: true });
    await writeFile(join(to, 'somebody-elses'), '');
    await expect(moveKeyFolder({ from, to })).rejects.toMatchObject(refused);
    expect(markOf(await (await openFileVault({ directory: from, keyring })).open(id))).toBe(mark);
  });

  test('stay where KEYS_DIR names that very folder; and where none lie, nothing is made', async () => {
    await moveKeyFolder({ from, to });
    expect(await readdir(folder.path)).toStrictEqual([]);
    const { id, mark } = await keyIn(from);
    await moveKeyFolder({ from, to: join(from, '.') });
    expect(markOf(await (await openFileVault({ directory: from, keyring })).open(id))).toBe(mark);
  });
});
