import { setImmediate as yieldOnce } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import type { KeyStore } from '../../../src/adapters/vault/key-store.ts';
import { keyringOf, markOf, newId, newKek, type VaultPlace } from './samples.ts';

const SOAK = process.env['PERENNIAL_SOAK'] === '1';
const ROUNDS = SOAK ? 2_000 : 120;
/** How far one of two goes before the other begins: turns of the event loop. */
const HEAD_START_TURNS_MAX = 12;

const wrapOf = (text: string): Uint8Array => Buffer.from(text.padEnd(90, '.'));

/** Of so many replacements that race with the destruction of their key, in both orders: how many keys are there afterwards. */
export async function resurrections(keys: KeyStore, rounds = ROUNDS): Promise<number> {
  let found = 0;
  for (let round = 0; round < rounds; round += 1) {
    const authorizationId = newId();
    await keys.keep({ authorizationId, wrapped: wrapOf('former') });
    const replace = () => keys.replace({ authorizationId, expected: wrapOf('former'), wrapped: wrapOf('next') });
    const destroy = () => keys.destroy(authorizationId);
    const [first, second] = round % 2 === 0 ? [replace, destroy] : [destroy, replace];
    const headStart = Math.floor(round / 2) % HEAD_START_TURNS_MAX;
    const late = async () => {
      for (let turn = 0; turn < headStart; turn += 1) await yieldOnce();
      await second();
    };
    await Promise.all([first(), late()]);
    if ((await keys.has(authorizationId)) || (await keys.find(authorizationId)) !== null) found += 1;
  }
  return found;
}

/** What every implementation promises of a key that several write at once. */
export function racesContract(makePlace: () => Promise<VaultPlace>): void {
  const opened = async (): Promise<{ readonly place: VaultPlace; readonly keys: KeyStore }> => {
    const place = await makePlace();
    const keys = await place.openKeys();
    onTestFinished(place.close);
    onTestFinished(keys.close);
    return { place, keys };
  };

  test('a replacement makes no key: not before one is there, not after it was destroyed, and not for another one than expected', async () => {
    const { keys } = await opened();
    const authorizationId = newId();
    const value = { authorizationId, expected: wrapOf('a'), wrapped: wrapOf('b') };
    expect(await keys.replace(value)).toBe('gone');
    expect(await keys.has(authorizationId)).toBe(false);
    await keys.keep({ authorizationId, wrapped: wrapOf('other') });
    expect(await keys.replace(value)).toBe('changed');
    expect(await keys.find(authorizationId)).toStrictEqual(Buffer.from(wrapOf('other')));
    expect(await keys.replace({ ...value, expected: wrapOf('other') })).toBe('replaced');
    expect(await keys.find(authorizationId)).toStrictEqual(Buffer.from(wrapOf('b')));
    await keys.destroy(authorizationId);
    expect(await keys.replace({ ...value, expected: wrapOf('b') })).toBe('gone');
    expect(await keys.has(authorizationId)).toBe(false);
  });

  test('a key that is destroyed while it is replaced is gone for good', async () => {
    const { keys } = await opened();
    expect(await resurrections(keys)).toBe(0);
  });

  test('a key that several replace at once still opens, for whoever reads it meanwhile too', async () => {
    const { place, keys } = await opened();
    const [old, next] = [newKek(), newKek()];
    const vault = await place.open(keyringOf(next, old));
    onTestFinished(vault.close);
    const former = await place.open(keyringOf(old));
    onTestFinished(former.close);
    for (let round = 0; round < ROUNDS / 6; round += 1) {
      const id = newId();
      const mark = markOf(await former.create(id));
      const rotating = Array.from({ length: 3 }, () => vault.rewrap({ after: null, limit: 1_000 }));
      const reading = Array.from({ length: 10 }, async () => markOf(await vault.open(id)));
      const [pages, marks] = await Promise.all([Promise.all(rotating), Promise.all(reading)]);
      expect(pages.reduce((sum, page) => sum + page.unreadable, 0)).toBe(0);
      expect(new Set([...marks, markOf(await vault.open(id))])).toStrictEqual(new Set([mark]));
      await keys.destroy(id);
    }
  });
}
