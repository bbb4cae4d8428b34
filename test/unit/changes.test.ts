import { describe, expect, test } from 'vitest';
import { isEmpty, type Manifest, removedIds } from '../../src/core/changes.ts';

const place = { hash: 'h', pack: 'p', offset: 0, length: 1 };
const stored: Manifest = new Map(['a', 'b', 'c'].map((id) => [id, place]));

describe('what was removed', () => {
  test('is what was stored and not seen, in the order it was stored', () => {
    expect(removedIds({ stored, seen: new Set(['b', 'new']), complete: true })).toEqual(['a', 'c']);
    expect(removedIds({ stored, seen: new Set(), complete: true })).toEqual(['a', 'b', 'c']);
    expect(removedIds({ stored, seen: new Set(['a', 'b', 'c']), complete: true })).toEqual([]);
    expect(removedIds({ stored: new Map(), seen: new Set(['a']), complete: true })).toEqual([]);
  });

  test('is nothing at all where the type was not read to its end', () => {
    expect(removedIds({ stored, seen: new Set(['b']), complete: false })).toEqual([]);
    expect(removedIds({ stored, seen: new Set(), complete: false })).toEqual([]);
  });
});

describe('an empty change', () => {
  const none = { type: 'Patient', added: [], modified: [], removed: [] };
  test('has neither added nor modified nor removed ids', () => {
    expect(isEmpty(none)).toBe(true);
    for (const one of ['added', 'modified', 'removed']) expect(isEmpty({ ...none, [one]: ['a'] })).toBe(false);
  });
});
