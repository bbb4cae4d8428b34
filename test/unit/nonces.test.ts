import { describe, expect, test } from 'vitest';
import { createNonces } from '../../src/adapters/vault/format.ts';

/** Over several draws, and not a whole number of them. */
const MANY = 1_000;
const namesOf = (next: () => Uint8Array) => Array.from({ length: MANY }, () => Buffer.from(next()).toString('hex'));

describe('nonces of AES-GCM, of which one used twice under a key gives both texts away', () => {
  test('are 12 bytes and never the same, from one source or from two', () => {
    const names = [...namesOf(createNonces()), ...namesOf(createNonces())];
    expect(new Set(names).size).toBe(2 * MANY);
    expect(new Set(names.map(({ length }) => length))).toEqual(new Set([24]));
  });

  test('the check can fail: what was drawn once and is given anew is found', () => {
    const drawn = createNonces();
    const few = Array.from({ length: MANY - 1 }, drawn);
    let at = 0;
    const again = () => few[at++ % few.length] ?? drawn();
    expect(new Set(namesOf(again)).size).toBeLessThan(MANY);
  });
});
