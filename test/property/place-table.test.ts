import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Place } from '../../src/core/changes.ts';
import { createPlaceTable, HASH_CHARS, MARK, type Mark } from '../../src/core/place-table.ts';

const RUNS = 300;

type Step =
  | { readonly kind: 'put'; readonly id: string; readonly place: Place }
  | { readonly kind: 'remove'; readonly id: string }
  | { readonly kind: 'mark'; readonly id: string; readonly mark: Mark };

const id = fc.oneof(fc.constantFrom('a', 'b', '__proto__', 'constructor'), fc.string({ maxLength: 64 }));
const place = fc.record({
  hash: fc.string({ minLength: HASH_CHARS, maxLength: HASH_CHARS, unit: 'grapheme-ascii' }),
  pack: fc.constantFrom('p1', 'p2', 'p3', '__proto__'),
  offset: fc.nat({ max: 2 ** 32 - 1 }),
  length: fc.nat({ max: 2 ** 32 - 1 }),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('put' as const), id, place }),
  fc.record({ kind: fc.constant('remove' as const), id }),
  fc.record({ kind: fc.constant('mark' as const), id, mark: fc.constantFrom(...Object.values(MARK)) }),
);

describe('a table of places', () => {
  test('is what a Map of objects with a Set for each mark is, and opens from its columns as it was', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const table = createPlaceTable();
        const model = new Map<string, Place>();
        const marks = new Map<string, number>();
        for (const one of steps) {
          const row = table.rowOf(one.id);
          expect(row !== undefined).toBe(model.has(one.id));
          if (one.kind === 'put') {
            table.put(one.id, one.place);
            model.set(one.id, one.place);
            if (row === undefined) marks.set(one.id, 0);
          } else if (one.kind === 'remove') {
            expect(table.remove(one.id)).toBe(model.delete(one.id));
          } else if (row !== undefined) {
            table.mark(row, one.mark);
            marks.set(one.id, (marks.get(one.id) ?? 0) | one.mark);
          }
        }
        expect(table.size()).toBe(model.size);
        expect([...table.entries()]).toEqual([...model]);
        for (const mark of Object.values(MARK)) {
          const withMark = [...model.keys()].filter((key) => ((marks.get(key) ?? 0) & mark) !== 0);
          expect(table.idsWhere(mark, true)).toEqual(withMark);
          expect(table.idsWhere(mark, false)).toEqual([...model.keys()].filter((key) => !withMark.includes(key)));
        }
        expect([...createPlaceTable(table.columns()).entries()]).toEqual([...model]);
        const alive = new Map<string, number>();
        for (const { pack, length } of model.values()) alive.set(pack, (alive.get(pack) ?? 0) + length);
        for (const [pack, bytes] of table.bytesByPack()) expect(bytes).toBe(alive.get(pack) ?? 0);
        for (const [key, { hash }] of model) {
          const row = table.rowOf(key) ?? -1;
          expect(table.holds(row, hash)).toBe(true);
          expect(table.holds(row, `${hash}x`)).toBe(false);
          expect(table.holds(row, hash.slice(1))).toBe(false);
          const other = hash.startsWith('x') ? `y${hash.slice(1)}` : `x${hash.slice(1)}`;
          expect(table.holds(row, other)).toBe(false);
        }
      }),
      { numRuns: RUNS },
    );
  });

  test('refuses a hash of another length, and columns that do not fit together', () => {
    const table = createPlaceTable();
    expect(() => table.put('a', { hash: 'short', pack: 'p', offset: 0, length: 1 })).toThrow('hash');
    table.put('a', { hash: 'h'.repeat(HASH_CHARS), pack: 'p', offset: 0, length: 1 });
    const columns = table.columns();
    const broken = [
      { hashes: 'h' },
      { packs: [1] },
      { packs: [] },
      { offsets: [] },
      { lengths: [] },
      { packNames: [] },
    ];
    for (const part of broken) {
      expect(() => createPlaceTable({ ...columns, ...part })).toThrow(
        expect.objectContaining({ code: 'unseal_failed' }),
      );
    }
  });
});
