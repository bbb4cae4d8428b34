import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sliceBundle } from '../../src/core/bundle.ts';
import { apply, change, page } from '../support/bundle-pages.ts';
import { referencePage } from '../support/bundle-reference.ts';
import { type CutEntry, type CutPage, cutInChunks, cutTogether } from '../support/cut-page.ts';

const SOAK = process.env['PERENNIAL_SOAK'] === '1';
const SEARCHES = 3;
/** Each search ends after this, or after its number of runs; more time finds more. */
const SEARCH_MS = (SOAK ? 600_000 : 6_000) / SEARCHES;
const LIMIT_MS = SEARCH_MS + 60_000;
const budget = { numRuns: 100_000_000, interruptAfterTimeLimit: SEARCH_MS, markInterruptAsFailure: false };

type Slicer = (bytes: Uint8Array) => CutPage;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const own = (value: unknown, key: string): unknown =>
  isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;

function parse(bytes: Uint8Array): { json: unknown } | undefined {
  try {
    return { json: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) };
  } catch {
    return undefined;
  }
}

type Reading = { readonly kind: string; readonly found?: unknown };

/** What the page says, read by JSON.parse: in place of its slices the resources themselves. */
function reference(bytes: Uint8Array): Reading {
  const value = parse(bytes);
  if (value === undefined) return { kind: 'refused' };
  const type = own(value.json, 'resourceType');
  if (type === 'OperationOutcome') return { kind: 'outcome' };
  const [entry, links] = [own(value.json, 'entry') ?? [], own(value.json, 'link') ?? []];
  if (type !== 'Bundle' || !Array.isArray(entry) || !Array.isArray(links)) return { kind: 'refused' };
  // JSON.parse takes the last of two lists, a stream has handed out the first.
  if (referencePage(bytes).entryLists > 1) return { kind: 'refused' };
  const urls = links.filter((each) => own(each, 'relation') === 'next').map((each) => own(each, 'url'));
  if (urls.some((url) => typeof url !== 'string' || url === '')) return { kind: 'refused' };
  const total = own(value.json, 'total');
  const isCount = Number.isSafeInteger(total) && Number(total) >= 0;
  const said = { next: urls[0], type: textOr(own(value.json, 'type'), ''), total: isCount ? total : undefined };
  return { kind: 'bundle', found: { ...said, entries: entry.map(storable) } };
}

const textOr = (value: unknown, other: string): string => (typeof value === 'string' ? value : other);

function storable(entry: unknown): unknown {
  const found = own(entry, 'resource');
  const [resourceType, id] = [own(found, 'resourceType'), own(found, 'id')];
  const isStorable = typeof resourceType === 'string' && resourceType !== '' && typeof id === 'string' && id !== '';
  return isStorable ? { resourceType, id, resource: found } : 'fault';
}

/** The slicer's answer in the reference's words. */
function seen({ end, entries }: CutPage): Reading {
  if (end.kind !== 'bundle') return { kind: end.kind };
  const read = (entry: CutEntry) => {
    if ('fault' in entry) return 'fault';
    return { resourceType: entry.resourceType, id: entry.id, resource: parse(entry.bytes)?.json };
  };
  const { next, type, total } = end;
  return { kind: 'bundle', found: { next, type, total, entries: entries.map(read) } };
}

/** The same places and faults as a walk over the whole page finds, and the bytes that lie there. */
function expectSamePlaces(bytes: Uint8Array, { end, entries }: CutPage): void {
  if (end.kind !== 'bundle') return;
  const { places, faults } = referencePage(bytes);
  const found = entries.filter((entry) => 'at' in entry);
  expect(found.map(({ at }) => at)).toEqual(places.map(({ start }) => start));
  expect(entries.filter((entry) => 'fault' in entry)).toEqual(faults);
  expect(end.entries).toBe(entries.length);
  for (const [i, place] of places.entries())
    expect(Buffer.compare(found[i]?.bytes ?? bytes, bytes.subarray(place.start, place.end))).toBe(0);
}

/** Chunks of one byte, of a few, around a block of 64, and the whole page. */
const chunkSizes = fc.oneof(
  fc.constant([1]),
  fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 }),
  fc.array(fc.integer({ min: 1, max: 140 }), { minLength: 1, maxLength: 8 }),
  fc.constant([1_000_000]),
);

test(
  'any bundle in any layout and in any chunks is cut into what JSON.parse reads, byte by byte',
  () => {
    const property = fc.property(page, chunkSizes, (bytes, sizes) => {
      const cut = cutInChunks(bytes, sizes);
      expect(seen(cut)).toStrictEqual(reference(bytes));
      expectSamePlaces(bytes, cut);
    });
    fc.assert(property, budget);
  },
  LIMIT_MS,
);

test(
  'pages that arrive in turns do not disturb each other, and a whole page is cut alike',
  () => {
    const property = fc.property(page, page, chunkSizes, (one, other, sizes) => {
      const alone = [cutInChunks(one, sizes), cutInChunks(other, sizes)];
      expect(cutTogether([one, other], sizes)).toStrictEqual(alone);
      const slices = sliceBundle(one);
      expect(slices.kind).toBe(alone[0]?.end.kind);
      if (slices.kind !== 'bundle') return;
      const places = alone[0]?.entries.flatMap((entry) => ('at' in entry ? [entry.at] : []));
      expect(slices.slices.map(({ start }) => start)).toEqual(places);
    });
    fc.assert(property, budget);
  },
  LIMIT_MS,
);

test(
  'changed bytes are refused exactly when JSON.parse refuses them, and are read alike when not',
  () => {
    const counts = { refused: 0, read: 0 };
    const changes = fc.array(change, { minLength: 1, maxLength: 3 });
    const property = fc.property(page, changes, chunkSizes, (bytes, places, sizes) => {
      const changed = places.reduce(apply, bytes);
      const cut = cutInChunks(changed, sizes);
      const isRefused = cut.end.kind === 'refused' && cut.end.reason !== 'not_a_bundle';
      expect(isRefused).toBe(parse(changed) === undefined);
      expect(seen(cut)).toStrictEqual(reference(changed));
      expectSamePlaces(changed, cut);
      counts[isRefused ? 'refused' : 'read'] += 1;
    });
    fc.assert(property, budget);
    expect(counts.refused).toBeGreaterThan(50);
    expect(counts.read).toBeGreaterThan(5);
  },
  LIMIT_MS,
);

const whole: Slicer = (bytes) => cutInChunks(bytes, [bytes.length]);
const RUNS_TO_CATCH = 5_000;

/** What the properties above say of a slicer. Braces: fast-check takes a returned value for a verdict, and `expect` returns one. */
const isCaught = (slicer: Slicer): boolean => {
  const property = fc.property(page, (bytes) => {
    const cut = slicer(bytes);
    expect(seen(cut)).toStrictEqual(reference(bytes));
    expectSamePlaces(bytes, cut);
  });
  return fc.check(property, { numRuns: RUNS_TO_CATCH }).failed;
};

type Place = { readonly start: number; readonly end: number };

/** What a hurried engineer's slicer says: the resources that lie between these places of a text whose characters are bytes. */
function pageOf(bytes: Uint8Array, places: readonly Place[]): CutPage {
  const entries = places.flatMap(({ start, end }): CutEntry[] => {
    const part = bytes.slice(start, end);
    const value = parse(part)?.json;
    const [resourceType, id] = [own(value, 'resourceType'), own(value, 'id')];
    return typeof resourceType === 'string' && typeof id === 'string'
      ? [{ at: start, resourceType, id, bytes: part }]
      : [];
  });
  return { end: { kind: 'bundle', type: 'searchset', entries: entries.length }, entries };
}

/** Finds each "resource" and where its braces end, by `endOf`. */
function byKey(bytes: Uint8Array, endOf: (text: string, start: number) => number): CutPage {
  const text = new TextDecoder('latin1').decode(bytes);
  const places: Place[] = [];
  for (let at = text.indexOf('"resource"'); at >= 0; at = text.indexOf('"resource"', at + 1)) {
    const start = text.indexOf('{', at);
    if (start >= 0) places.push({ start, end: endOf(text, start) });
  }
  return pageOf(bytes, places);
}

/** Where the brace closes that opens at `start`; strings end at the next quote, escaped or not. */
function endIgnoringEscapes(text: string, start: number): number {
  let depth = 0;
  let inString = false;
  for (let i = start; i < text.length; i += 1) {
    if (text[i] === '"') inString = !inString;
    else if (!inString && text[i] === '{') depth += 1;
    else if (!inString && text[i] === '}') depth -= 1;
    if (depth === 0) return i + 1;
  }
  return text.length;
}

function lastId(bytes: Uint8Array): string | undefined {
  return [...new TextDecoder().decode(bytes).matchAll(/"id"\s*:\s*"([^"\\]*)"/g)].at(-1)?.[1];
}

const changedBy =
  (change: (cut: CutPage) => CutPage): Slicer =>
  (bytes) =>
    change(whole(bytes));

const WRONG: readonly (readonly [string, Slicer])[] = [
  ['looks for "resource" and the next brace', (bytes) => byKey(bytes, (text, start) => text.indexOf('}', start) + 1)],
  ['ignores escapes', (bytes) => byKey(bytes, endIgnoringEscapes)],
  ['splits on },{', (bytes) => byKey(bytes, (text, start) => `${text}},{`.indexOf('},{', start))],
  [
    'takes contained ids for the resource',
    changedBy(({ end, entries }) => ({
      end,
      entries: entries.map((each) => ('at' in each ? { ...each, id: lastId(each.bytes) ?? each.id } : each)),
    })),
  ],
  [
    'forgets the last byte',
    changedBy(({ end, entries }) => ({
      end,
      entries: entries.map((each) => ('at' in each ? { ...each, bytes: each.bytes.subarray(0, -1) } : each)),
    })),
  ],
];

test.each(WRONG)('control: a slicer that %s is caught by the same property', (_name, slicer) => {
  expect(isCaught(slicer)).toBe(true);
});
