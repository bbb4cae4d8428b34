import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createKeyring } from '../../src/adapters/vault/keyring.ts';
import type { Vault } from '../../src/core/ports/vault.ts';
import { Secret } from '../../src/core/secret.ts';
import { racesContract } from './vault/races.ts';
import { rotationContract } from './vault/rotation.ts';
import { BINDING, keyringOf, markOf, newId, newKek, PLAIN, type VaultPlace } from './vault/samples.ts';
import { sealsContract } from './vault/seals.ts';

/** What every implementation of the Vault port promises. */
export function vaultContract(name: string, makePlace: () => Promise<VaultPlace>): void {
  describe(name, () => {
    const kek = newKek();
    let opened: { readonly place: VaultPlace; readonly vault: Vault } | null = null;
    const use = () => {
      if (opened === null) throw new Error('the vault is not open');
      return opened;
    };
    beforeAll(async () => {
      const place = await makePlace();
      opened = { place, vault: await place.open(keyringOf(kek)) };
    });
    afterAll(async () => {
      await opened?.vault.close();
      await opened?.place.close();
    });
    sealsContract(() => use().vault);
    keysContract(use, kek);
    rotationContract(makePlace);
    racesContract(makePlace);
  });
}

function keysContract(use: () => { readonly place: VaultPlace; readonly vault: Vault }, kek: string): void {
  test('two creates of one id, of two vaults at once, end with one key', async () => {
    const { place, vault } = use();
    const second = await place.open(keyringOf(kek));
    for (let round = 0; round < 10; round += 1) {
      const id = newId();
      const makers = Array.from({ length: 8 }, (_, index) => (index % 2 === 0 ? vault : second).create(id));
      const marks = (await Promise.all(makers)).map(markOf);
      expect(new Set([...marks, markOf(await vault.open(id))]).size).toBe(1);
    }
    await second.close();
  });

  test('an id that was never made has no key; has says so', async () => {
    const { vault } = use();
    const id = newId();
    await expect(vault.open(id)).rejects.toMatchObject({ code: 'key_missing' });
    expect(await vault.has(id)).toBe(false);
    await vault.create(id);
    expect(await vault.has(id)).toBe(true);
  });

  test('a destroyed key is missing for everybody, and a later one of the same id is another', async () => {
    const { place, vault } = use();
    const [id, other] = [newId(), newId()];
    const key = await vault.create(id);
    const kept = markOf(await vault.create(other));
    const sealed = key.seal({ ...BINDING, bytes: PLAIN });
    await vault.destroy(id);
    await vault.destroy(id);
    const second = await place.open(keyringOf(kek));
    for (const each of [vault, second]) {
      await expect(each.open(id)).rejects.toMatchObject({ code: 'key_missing' });
      expect(await each.has(id)).toBe(false);
    }
    expect(await place.readWrapped(id)).toBeNull();
    expect(markOf(await vault.open(other))).toBe(kept);
    const next = await second.create(id);
    expect(markOf(next)).not.toBe(markOf(key));
    expect(() => next.unseal({ ...BINDING, sealed })).toThrow(expect.objectContaining({ code: 'unseal_failed' }));
    await second.close();
  });

  test('a rotated keyring opens old keys; one without the old key does not', async () => {
    const { place, vault } = use();
    const id = newId();
    const mark = markOf(await vault.create(id));
    const next = newKek();
    const rotated = await place.open(keyringOf(next, kek));
    expect(markOf(await rotated.open(id))).toBe(mark);
    const young = newId();
    const youngMark = markOf(await rotated.create(young));
    await expect(vault.open(young)).rejects.toMatchObject({ code: 'unseal_failed' });
    const without = await place.open(createKeyring([{ id: 'k2', key: new Secret(next) }]));
    await expect(without.open(id)).rejects.toMatchObject({ code: 'unseal_failed' });
    expect(markOf(await without.open(young))).toBe(youngMark);
    const renamed = await place.open(createKeyring([{ id: 'k1', key: new Secret(next) }]));
    await expect(renamed.open(id)).rejects.toMatchObject({ code: 'unseal_failed' });
    await Promise.all([rotated.close(), without.close(), renamed.close()]);
  });

  test('a kept key of another authorization, or an altered one, does not open', async () => {
    const { place, vault } = use();
    const [id, other] = [newId(), newId()];
    await vault.create(id);
    await vault.create(other);
    const [own, foreign] = [await place.readWrapped(id), await place.readWrapped(other)];
    if (own === null || foreign === null) throw new Error('no key is kept');
    const altered = [foreign, new Uint8Array(0), own.subarray(0, 20), randomBytes(own.byteLength)];
    for (let index = 0; index < own.byteLength; index += 1) {
      const tampered = new Uint8Array(own);
      tampered[index] = (tampered[index] ?? 0) ^ 1;
      altered.push(tampered);
    }
    for (const wrapped of altered) {
      await place.writeWrapped(id, wrapped);
      await expect(vault.open(id)).rejects.toMatchObject({ code: 'unseal_failed' });
    }
    await place.writeWrapped(id, own);
    await expect(vault.open(id)).resolves.toBeDefined();
  });

  test('neither what is opened nor what is thrown shows a key', async () => {
    const { place, vault } = use();
    const id = newId();
    const key = await vault.create(id);
    const wrapped = await place.readWrapped(id);
    if (wrapped === null) throw new Error('no key is kept');
    const dataKey = keyringOf(kek).unwrap({ authorizationId: id, wrapped });
    const thrown: unknown[] = [];
    await vault.open('never-made').catch((error: unknown) => thrown.push(error));
    await place.writeWrapped(id, randomBytes(wrapped.byteLength));
    await vault.open(id).catch((error: unknown) => thrown.push(error));
    try {
      key.unseal({ ...BINDING, sealed: randomBytes(64) });
    } catch (error) {
      thrown.push(error);
    }
    expect(thrown).toHaveLength(3);
    const shown = [key, vault, keyringOf(kek), ...thrown].map(
      (value) => inspect(value, { depth: 9, showHidden: true }) + JSON.stringify(value),
    );
    for (const secret of [Buffer.from(kek, 'base64'), dataKey]) {
      for (const encoding of ['base64', 'hex', 'base64url'] as const) {
        expect(shown.join()).not.toContain(secret.toString(encoding));
      }
      expect(shown.join()).not.toContain([...secret.subarray(0, 4)].join(', '));
    }
  });

  test('it answers', async () => {
    await expect(use().vault.ping()).resolves.toBeUndefined();
  });
}
