import { randomBytes } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { createKeyring } from '../../../src/adapters/vault/keyring.ts';
import type { Rewrapped, Vault } from '../../../src/core/ports/vault.ts';
import { Secret } from '../../../src/core/secret.ts';
import { keyringOf, markOf, newId, newKek, type VaultPlace } from './samples.ts';

/** All of a rotation, page by page. */
export async function rewrapAll(vault: Vault, limit: number): Promise<Omit<Rewrapped, 'next' | 'currentKeyId'>> {
  const sum = { rewrapped: 0, current: 0, gone: 0, unreadable: 0 };
  let after: string | null = null;
  do {
    const page: Rewrapped = await vault.rewrap({ after, limit });
    for (const fate of ['rewrapped', 'current', 'gone', 'unreadable'] as const) sum[fate] += page[fate];
    after = page.next;
  } while (after !== null);
  return sum;
}

/** What every implementation promises of a change of the key-encryption key. */
export function rotationContract(makePlace: () => Promise<VaultPlace>): void {
  const opened = async (): Promise<VaultPlace> => {
    const place = await makePlace();
    onTestFinished(place.close);
    return place;
  };
  const vaultAt = async (place: VaultPlace, ...keks: readonly string[]): Promise<Vault> => {
    const vault = await place.open(keyringOf(...keks));
    onTestFinished(vault.close);
    return vault;
  };
  const onlyNew = async (place: VaultPlace, kek: string): Promise<Vault> => {
    const vault = await place.open(createKeyring([{ id: 'k2', key: new Secret(kek) }]));
    onTestFinished(vault.close);
    return vault;
  };

  test('a rotation wraps every key anew and counts each once; then the new key alone opens all, the old one none', async () => {
    const [place, old, next] = [await opened(), newKek(), newKek()];
    const before = await vaultAt(place, old);
    const ids = Array.from({ length: 25 }, newId);
    const marks = await Promise.all(ids.map(async (id) => markOf(await before.create(id))));
    const rotating = await vaultAt(place, next, old);
    const young = newId();
    const youngMark = markOf(await rotating.create(young));

    expect(await rewrapAll(rotating, 7)).toStrictEqual({ rewrapped: 25, current: 1, gone: 0, unreadable: 0 });
    expect(await rewrapAll(rotating, 100)).toStrictEqual({ rewrapped: 0, current: 26, gone: 0, unreadable: 0 });
    const after = await onlyNew(place, next);
    for (const [index, id] of [...ids, young].entries()) {
      expect(markOf(await after.open(id))).toBe([...marks, youngMark][index]);
      await expect(before.open(id)).rejects.toMatchObject({ code: 'unseal_failed' });
    }
  });

  test('a rotation that was stopped goes on where it is begun again, and no key is counted as wrapped anew twice', async () => {
    const [place, old, next] = [await opened(), newKek(), newKek()];
    const before = await vaultAt(place, old);
    for (const id of Array.from({ length: 10 }, newId)) await before.create(id);
    const rotating = await vaultAt(place, next, old);
    const first = await rotating.rewrap({ after: null, limit: 4 });
    expect(first).toMatchObject({ currentKeyId: 'k2', rewrapped: 4, next: expect.any(String) });
    expect(await rewrapAll(rotating, 4)).toStrictEqual({ rewrapped: 6, current: 4, gone: 0, unreadable: 0 });
  });

  test('a wrap of an unknown key, or none at all, is counted as unreadable and left as it is', async () => {
    const [place, old, next] = [await opened(), newKek(), newKek()];
    const before = await vaultAt(place, old);
    const [id, damaged] = [newId(), newId()];
    const mark = markOf(await before.create(id));
    await before.create(damaged);
    await place.writeWrapped(damaged, randomBytes(90));
    const stranger = await onlyNew(place, next);
    const seen = await place.readWrapped(id);
    expect(await rewrapAll(stranger, 10)).toStrictEqual({ rewrapped: 0, current: 0, gone: 0, unreadable: 2 });
    expect(await place.readWrapped(id)).toStrictEqual(seen);
    expect(markOf(await before.open(id))).toBe(mark);
  });

  test('a census says how many keys each key-encryption key wraps, of ours and of others', async () => {
    const [place, old, next] = [await opened(), newKek(), newKek()];
    const before = await vaultAt(place, old);
    for (const id of Array.from({ length: 5 }, newId)) await before.create(id);
    const after = await onlyNew(place, next);
    await after.create(newId());
    const damaged = newId();
    await after.create(damaged);
    await place.writeWrapped(damaged, new Uint8Array(0));
    const { keys, ...rest } = await after.census({ after: null, limit: 100 });
    expect(rest).toStrictEqual({ next: null, currentKeyId: 'k2', unreadable: 1 });
    expect(new Set(keys)).toStrictEqual(
      new Set([
        { keyId: 'k1', held: false, wraps: 5 },
        { keyId: 'k2', held: true, wraps: 1 },
      ]),
    );
  });

  test('a list gives every key exactly once, however long its pages are and whatever comes and goes meanwhile', async () => {
    const place = await opened();
    const vault = await vaultAt(place, newKek());
    const keys = await place.openKeys();
    onTestFinished(keys.close);
    const ids = Array.from({ length: 20 }, newId);
    const passing = Array.from({ length: 20 }, newId);
    await Promise.all([...ids, ...passing].map((id) => vault.create(id)));
    for (const limit of [1, 3, 100]) {
      const found: (string | null)[] = [];
      let after: string | null = null;
      do {
        const { kept, next } = await keys.list({ after, limit });
        expect(kept.length).toBeLessThanOrEqual(limit);
        found.push(...kept.map((key) => key.authorizationId));
        after = next;
        const leaving = passing.pop();
        if (leaving !== undefined) await vault.destroy(leaving);
      } while (after !== null);
      expect(new Set(found).size).toBe(found.length);
      expect(ids.filter((id) => !found.includes(id))).toStrictEqual([]);
    }
    await vault.reclaim();
    expect((await keys.list({ after: null, limit: 100 })).kept.length).toBe(ids.length + passing.length);
  });
}
