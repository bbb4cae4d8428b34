import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createDataKey } from '../../src/adapters/vault/data-key.ts';
import { PerennialError } from '../../src/core/errors.ts';
import type { DataKey, SealPurpose } from '../../src/core/ports/vault.ts';

const SOAK = process.env['PERENNIAL_SOAK'] === '1';
const RUNS = SOAK ? 20_000 : 1_000;
const SEALS = SOAK ? 1_000_000 : 100_000;
/** Behind the version byte. */
const NONCE = { from: 1, to: 13 } as const;
const PURPOSES: readonly SealPurpose[] = ['tokens', 'pack', 'manifest', 'changes', 'journal'];

/** Where a value belongs: whose it is, under which of their keys, what it is for, and which version or place. */
type Home = {
  readonly owner: string;
  readonly secret: number;
  readonly purpose: SealPurpose;
  readonly context: string;
};

const secrets = Array.from({ length: 3 }, () => randomBytes(32));
// Few values of each kind, and such as look like a piece of another: neighbours are likelier to be taken for each other.
const text = fc.constantFrom('a', 'ab', 'a|b', '1:a', 'v1', 'v2', 'v12', '', 'a|6:tokens|2:v1');
const home: fc.Arbitrary<Home> = fc.record({
  owner: text,
  secret: fc.nat({ max: secrets.length - 1 }),
  purpose: fc.constantFrom(...PURPOSES),
  context: text,
});

function keyOf({ owner, secret }: Home): DataKey {
  return createDataKey({ authorizationId: owner, bytes: Buffer.from(secrets[secret] ?? '') });
}

const isSame = (one: Home, other: Home): boolean =>
  one.owner === other.owner &&
  one.secret === other.secret &&
  one.purpose === other.purpose &&
  one.context === other.context;

test('a sealed value opens at home, and with any other owner, key, purpose or version never', () => {
  let swapped = 0;
  fc.assert(
    fc.property(home, home, fc.uint8Array({ maxLength: 64 }), (one, other, bytes) => {
      const sealed = keyOf(one).seal({ ...one, bytes });
      expect(Buffer.from(keyOf(one).unseal({ ...one, sealed })).equals(bytes)).toBe(true);
      if (isSame(one, other)) return;
      swapped += 1;
      expect(() => keyOf(other).unseal({ ...other, sealed })).toThrow(PerennialError);
    }),
    { numRuns: RUNS },
  );
  expect(swapped).toBeGreaterThan(RUNS * 0.9);
});

test('values of two authorizations, two purposes or two versions that are swapped all fail', () => {
  for (const purpose of PURPOSES) {
    const [left, right]: readonly [Home, Home] = [
      { owner: 'left', secret: 0, purpose, context: 'v1' },
      { owner: 'right', secret: 1, purpose, context: 'v1' },
    ];
    const neighbours: readonly Home[] = [
      right,
      { ...left, secret: 1 },
      { ...left, owner: 'right' },
      { ...left, context: 'v2' },
      ...PURPOSES.filter((other) => other !== purpose).map((other) => ({ ...left, purpose: other })),
    ];
    for (const neighbour of neighbours) {
      const [here, there] = [left, neighbour].map((one) => keyOf(one).seal({ ...one, bytes: Buffer.from('{}') }));
      expect(() => keyOf(left).unseal({ ...left, sealed: there ?? Buffer.of() })).toThrow(PerennialError);
      expect(() => keyOf(neighbour).unseal({ ...neighbour, sealed: here ?? Buffer.of() })).toThrow(PerennialError);
    }
  }
});

test(`no nonce comes twice in ${SEALS} seals under one key`, () => {
  const key = keyOf({ owner: 'one', secret: 0, purpose: 'tokens', context: 'v1' });
  expect(repeats(SEALS, () => key.seal({ purpose: 'tokens', context: 'v1', bytes: Buffer.of(1) }))).toBe(0);
});

test('control: a nonce of three random bytes would come twice, and the count sees it', () => {
  const short = () => Buffer.concat([Buffer.of(1), Buffer.alloc(9), randomBytes(3)]);
  expect(repeats(20_000, short)).toBeGreaterThan(0);
});

function repeats(count: number, seal: () => Uint8Array): number {
  const seen = new Set<string>();
  for (let made = 0; made < count; made += 1) {
    seen.add(Buffer.from(seal().subarray(NONCE.from, NONCE.to)).toString('latin1'));
  }
  return count - seen.size;
}
