import { execFile } from 'node:child_process';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openFileKeyStore, openFileVault } from '../../src/adapters/vault/file.ts';
import { encodeRecord, lastRecord } from '../../src/adapters/vault/key-file.ts';
import { createKeyring } from '../../src/adapters/vault/keyring.ts';
import { openPostgresKeyStore, openPostgresVault } from '../../src/adapters/vault/postgres.ts';
import { Secret } from '../../src/core/secret.ts';
import { NO_POSTGRES, postgresForTests, type TestPostgres, temporaryFolder } from '../support/databases.ts';
import { fileOf } from './vault/key-files.ts';
import { keyringOf, newKek, type VaultPlace } from './vault/samples.ts';
import { vaultContract } from './vault.contract.ts';

const postgres = await postgresForTests();
const RACER = join(import.meta.dirname, '../support/vault-racer.ts');

vaultContract('Vault in files', filePlace);

if (postgres === null) {
  describe.skip(`Vault in Postgres ${NO_POSTGRES}`, () => {
    test('all of the contract', () => undefined);
  });
} else {
  vaultContract('Vault in Postgres', () => postgresPlace(postgres));
  describe('Vault in Postgres', () => {
    test('8 processes that start at once make the table once', async () => {
      const { databaseUrl, drop } = await postgres.createDatabase();
      onTestFinished(drop);
      const keyring = keyringOf(newKek());
      const open = () => openPostgresVault({ databaseUrl, keyring, poolSize: 1 });
      const vaults = await Promise.all(Array.from({ length: 8 }, open));
      await Promise.all(vaults.map((vault) => vault.ping()));
      await Promise.all(vaults.map((vault) => vault.close()));
    });

    test('a server that is not there is named as such, without its address or password', async () => {
      const databaseUrl = 'postgres://someone:hunter2@127.0.0.1:1/nowhere';
      const opening = openPostgresVault({ databaseUrl, keyring: keyringOf(newKek()), poolSize: 1 });
      const error: unknown = await opening.catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'database_unreachable' });
      expect(`${error} ${JSON.stringify(error)}`).not.toMatch(/hunter2|127\.0/);
    });
  });
}

describe('Vault in files', () => {
  test('four processes that make one key at once end with one', async () => {
    const folder = await temporaryFolder();
    onTestFinished(folder.remove);
    const kek = newKek();
    const racers = Array.from({ length: 4 }, () =>
      promisify(execFile)(process.execPath, [RACER, folder.path, kek, 'the-one']),
    );
    const marks = (await Promise.all(racers)).map(({ stdout }) => stdout);
    expect(marks[0]).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(new Set(marks).size).toBe(1);
  });

  test('no id leads out of the directory, and files and folders are for this user only', async () => {
    const folder = await temporaryFolder();
    onTestFinished(folder.remove);
    const directory = join(folder.path, 'keys');
    const vault = await openFileVault({ directory, keyring: keyringOf(newKek()) });
    const ids = ['../../escape', '/etc/escape', 'a/b', '.', 'x'.repeat(5_000)];
    for (const id of ids) await vault.create(id);
    expect(await readdir(folder.path)).toStrictEqual(['keys']);
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile());
    expect(files).toHaveLength(ids.length);
    for (const { name } of files) expect(name).toMatch(/^[0-9a-f]{64}\.key$/);
    for (const entry of entries) {
      const { mode } = await stat(join(entry.parentPath, entry.name));
      expect(mode & 0o077).toBe(0);
    }
  });

  test('destroying leaves no file, drafts that a crash left behind included', async () => {
    const folder = await temporaryFolder();
    onTestFinished(folder.remove);
    const vault = await openFileVault({ directory: folder.path, keyring: keyringOf(newKek()) });
    await vault.create('gone');
    const file = fileOf(folder.path, 'gone');
    await writeFile(file.replace(/key$/, '0011.draft'), 'left behind');
    await vault.destroy('gone');
    expect(await readdir(join(file, '..'))).toStrictEqual([]);
  });
});

describe('a keyring', () => {
  const good = newKek();
  test.each([
    ['no key at all', []],
    ['an empty key', [['k1', '']]],
    ['not base64', [['k1', 'not base64, but long enough to be a key of 32!']]],
    ['too short', [['k1', Buffer.alloc(31, 7).toString('base64')]]],
    ['too long', [['k1', Buffer.alloc(33, 7).toString('base64')]]],
    [
      'a name twice',
      [
        ['k1', good],
        ['k1', newKek()],
      ],
    ],
    ['no name', [['', good]]],
    ['a name that is none', [['k 1', good]]],
  ] as const)('is refused, naming the setting and never the value: %s', (_what, entries) => {
    const make = () => createKeyring(entries.map(([id, key]) => ({ id, key: new Secret(key) })));
    let thrown: unknown;
    try {
      make();
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: 'config_invalid', field: expect.stringContaining('ENCRYPTION_KEYS') });
    for (const [, key] of entries) if (key !== '') expect(String(thrown)).not.toContain(key);
  });
});

async function filePlace(): Promise<VaultPlace> {
  const folder = await temporaryFolder();
  const directory = join(folder.path, 'keys');
  return {
    open: (keyring) => openFileVault({ directory, keyring }),
    openKeys: () => openFileKeyStore(directory),
    readWrapped: async (id) => {
      const bytes = await readFile(fileOf(directory, id)).catch(() => null);
      return bytes === null ? null : (lastRecord(bytes)?.wrapped ?? null);
    },
    writeWrapped: (id, wrapped) => writeFile(fileOf(directory, id), encodeRecord({ authorizationId: id, wrapped })),
    close: folder.remove,
  };
}

async function postgresPlace({ createDatabase }: TestPostgres): Promise<VaultPlace> {
  const { databaseUrl, sql, drop } = await createDatabase();
  return {
    open: (keyring) => openPostgresVault({ databaseUrl, keyring, poolSize: 4 }),
    openKeys: () => openPostgresKeyStore({ databaseUrl, poolSize: 4 }),
    readWrapped: async (id) => {
      const [row] = await sql('select wrapped from perennial_keys.data_keys where authorization_id = $1', [id]);
      return row?.['wrapped'] instanceof Uint8Array ? row['wrapped'] : null;
    },
    writeWrapped: async (id, wrapped) => {
      await sql('update perennial_keys.data_keys set wrapped = $2 where authorization_id = $1', [id, wrapped]);
    },
    close: drop,
  };
}
