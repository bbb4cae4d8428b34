import { createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync, randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { calculateJwkThumbprint } from 'jose';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createDataKey } from '../../src/adapters/vault/data-key.ts';
import { openFileVault } from '../../src/adapters/vault/file.ts';
import { deriveIntakeKeys } from '../../src/adapters/vault/intake-keys.ts';
import { createNotary, createVerifier } from '../../src/adapters/vault/notary.ts';
import { openPostgresVault } from '../../src/adapters/vault/postgres.ts';
import type { Vault } from '../../src/core/ports/vault.ts';
import { NO_POSTGRES, postgresForTests, temporaryFolder } from '../support/databases.ts';
import { notaryOf } from '../support/notary.ts';
import { keyringOf, newKek } from './vault/samples.ts';

const postgres = await postgresForTests();

describe('what is derived from the installation key', () => {
  test('is the same whichever key wraps it, and another from another key', async () => {
    const folder = await temporaryFolder();
    onTestFinished(folder.remove);
    const [former, current] = [newKek(), newKek()];
    const before = await openFileVault({ directory: folder.path, keyring: keyringOf(former) });
    const key = await before.create('.keyring');
    const after = await openFileVault({ directory: folder.path, keyring: keyringOf(current, former) });
    const same = await after.open('.keyring');
    expect(deriveIntakeKeys(same)).toStrictEqual(deriveIntakeKeys(key));
    expect(createNotary(same).publicJwk).toStrictEqual(createNotary(key).publicJwk);
    const other = await before.create('another');
    expect(deriveIntakeKeys(other).publicJwk.x).not.toBe(deriveIntakeKeys(key).publicJwk.x);
    expect(createNotary(other).keyId).not.toBe(createNotary(key).keyId);
    expect(new Set([key, same, other].map(({ fingerprint }) => fingerprint())).size).toBe(2);
    expect(key.fingerprint()).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(key.derive('a')).toHaveLength(32);
    expect(key.derive('a')).not.toStrictEqual(key.derive('b'));
  });

  test('an intake key agrees on a secret with a producer who has the public one', () => {
    const { publicJwk, privateJwks } = deriveIntakeKeys(
      createDataKey({ authorizationId: 'x', bytes: randomBytes(32) }),
    );
    expect(privateJwks).toHaveLength(1);
    expect(publicJwk.kid).toBe(privateJwks[0]?.kid);
    const producer = generateKeyPairSync('x25519');
    const there = diffieHellman({
      privateKey: producer.privateKey,
      publicKey: createPublicKey({ key: { ...publicJwk }, format: 'jwk' }),
    });
    const privateKey = createPrivateKey({ key: { ...privateJwks[0]?.jwk }, format: 'jwk' });
    expect(diffieHellman({ privateKey, publicKey: producer.publicKey }).equals(there)).toBe(true);
  });
});

describe('a notary', () => {
  const notary = notaryOf();
  const attested = notary.attest('a text');

  test('is believed by whoever has its public key, and by nobody else', async () => {
    expect(createVerifier([notary.publicJwk]).isSigned(attested)).toBe(true);
    expect(createVerifier([]).isSigned(attested)).toBe(false);
    expect(createVerifier([notaryOf().publicJwk]).isSigned(attested)).toBe(false);
    expect(attested.hash).toBe(notary.hashOf('a text'));
    expect(await calculateJwkThumbprint({ ...notary.publicJwk })).toBe(notary.keyId);
  });

  test('a foreign key under its name is taken for what it is', () => {
    const foreign = notaryOf();
    const posing = createVerifier([{ ...foreign.publicJwk, kid: notary.keyId }]);
    expect(posing.isSigned({ ...foreign.attest('a text'), keyId: notary.keyId })).toBe(false);
  });

  test('every letter of hash and signature counts, those with spare bits too', () => {
    for (const field of ['hash', 'signature'] as const) {
      for (let at = 0; at < attested[field].length; at += 1) {
        for (const letter of ['A', 'B', 'E', 'Q', '_', '+', ' ']) {
          const altered = `${attested[field].slice(0, at)}${letter}${attested[field].slice(at + 1)}`;
          if (altered === attested[field]) continue;
          const isFound =
            field === 'hash'
              ? altered !== notary.hashOf('a text')
              : !notary.isSigned({ ...attested, signature: altered });
          expect([field, at, letter, isFound]).toStrictEqual([field, at, letter, true]);
        }
      }
    }
    expect(notary.isSigned({ ...attested, signature: '' })).toBe(false);
  });
});

describe.each([
  ['files', openFiles],
  [`Postgres${postgres === null ? ` ${NO_POSTGRES}` : ''}`, postgres === null ? null : openPostgres],
] as const)('anchors in %s', (_place, open) => {
  test.skipIf(open === null)(
    'an earlier head never takes the place of a later one, whoever writes at the same time',
    async () => {
      if (open === null) return;
      const { vaults, close } = await open();
      onTestFinished(close);
      const [vault, other] = vaults;
      expect(await vault.anchors()).toStrictEqual([]);
      await vault.anchor([{ chain: 'audit-1', seq: 0, hash: '' }]);
      expect(await vault.anchors()).toStrictEqual([]);
      const heads = Array.from({ length: 20 }, (_, index) => ({
        chain: 'audit-1',
        seq: 40 - index,
        hash: `h${40 - index}`,
      }));
      await Promise.all(
        heads.map((head, index) =>
          (index % 2 === 0 ? vault : other).anchor([head, { chain: 'receipts', seq: 7, hash: 'r' }]),
        ),
      );
      await vault.anchor([{ chain: 'audit-1', seq: 40, hash: 'another' }]);
      const sorted = [...(await other.anchors())].sort((left, right) => (left.chain < right.chain ? -1 : 1));
      expect(sorted).toStrictEqual([
        { chain: 'audit-1', seq: 40, hash: 'h40' },
        { chain: 'receipts', seq: 7, hash: 'r' },
      ]);
      await other.anchor([{ chain: 'audit-1', seq: 41, hash: 'h41' }]);
      expect((await vault.anchors()).find(({ chain }) => chain === 'audit-1')).toMatchObject({ seq: 41, hash: 'h41' });
    },
  );
});

test('anchors in files leave one file for each chain', async () => {
  const { vaults, close, path } = await openFiles();
  onTestFinished(close);
  for (let seq = 1; seq <= 5; seq += 1) await vaults[0].anchor([{ chain: 'audit-1', seq, hash: `h${seq}` }]);
  expect(await readdir(join(path, 'anchors'))).toStrictEqual(['audit-1.5.json']);
});

type Opened = { readonly vaults: readonly [Vault, Vault]; readonly close: () => Promise<void> };

async function openFiles(): Promise<Opened & { readonly path: string }> {
  const { path, remove } = await temporaryFolder();
  const open = () => openFileVault({ directory: path, keyring: keyringOf(newKek()) });
  return { vaults: [await open(), await open()], close: remove, path };
}

async function openPostgres(): Promise<Opened> {
  if (postgres === null) throw new Error(NO_POSTGRES);
  const { databaseUrl, drop } = await postgres.createDatabase();
  const open = () => openPostgresVault({ databaseUrl, keyring: keyringOf(newKek()), poolSize: 2 });
  const vaults = [await open(), await open()] as const;
  const close = async () => {
    await Promise.all(vaults.map((vault) => vault.close()));
    await drop();
  };
  return { vaults, close };
}
