import { hash } from 'node:crypto';

/** A source of repeatable numbers: the same key always gives the same sequence. */
export type Rng = {
  /** In [0, 1). */
  next: () => number;
  /** A whole number from `min` to `max`, both included. */
  int: (min: number, max: number) => number;
  /** One of `items`, which must not be empty. */
  pick: <T>(items: readonly T[]) => T;
};

/** A sequence that depends on nothing but `key` (mulberry32 over an FNV-1a hash: fast, and good enough for test data). */
export function seededRng(key: string): Rng {
  let state = fnv1a(key);
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
  const int = (min: number, max: number): number => min + Math.floor(next() * (max - min + 1));
  const pick = <T>(items: readonly T[]): T => {
    const item = items[Math.floor(next() * items.length)];
    if (item === undefined) throw new RangeError('pick needs at least one item');
    return item;
  };
  return { next, int, pick };
}

/** A UUID of version 5 form that depends on nothing but `name`, as the ids in Flexpa's store do (contract 3.6). */
export function namedUuid(name: string): string {
  const hex = hash('sha1', name);
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** An opaque token of 256 bits that depends on nothing but `name`. */
export function namedToken(name: string): string {
  return hash('sha256', name, 'base64url');
}

function fnv1a(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  return value | 0;
}
