import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type BundleSlices, sliceBundle } from '../../src/core/bundle.ts';

/** Each search below ends after this, or after its number of runs; more time finds more. */
const SEARCH_MS = 5_000;
const budget = { numRuns: 1_000_000, interruptAfterTimeLimit: SEARCH_MS, markInterruptAsFailure: false };

type Slicer = (bytes: Uint8Array) => BundleSlices;
type Spelling = { readonly blanks: readonly string[]; readonly escapes: readonly boolean[] };

/** JSON as a tree that keeps what JSON.parse forgets: duplicate keys, their order, and how numbers were written. */
type Tree =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'array'; readonly items: readonly Tree[] }
  | { readonly kind: 'object'; readonly members: readonly (readonly [string, Tree])[] };

const word = fc.constantFrom(
  'resource',
  'id',
  'resourceType',
  'entry',
  'link',
  'next',
  'Bundle',
  'A',
  '"',
  '\\',
  'é',
  'Ã©',
  '__proto__',
  '',
);
const string = fc.oneof(word, fc.string({ unit: 'grapheme', maxLength: 8 }));
const number = fc.constantFrom('0', '-0', '1.00', '1E-22', '12345678901234567890', '-1.5e+3', '7');
const leaf: fc.Arbitrary<Tree> = fc.oneof(
  fc.record({ kind: fc.constant('text' as const), text: fc.oneof(number, fc.constantFrom('true', 'false', 'null')) }),
  fc.record({ kind: fc.constant('string' as const), value: string }),
);
const anyTree: fc.Arbitrary<Tree> = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    leaf,
    fc.record({ kind: fc.constant('array' as const), items: fc.array(tie('tree'), { maxLength: 3 }) }),
    fc.record({
      kind: fc.constant('object' as const),
      members: fc.array(fc.tuple(string, tie('tree')), { maxLength: 4 }),
    }),
  ),
})).tree;

/** An object with the expected members, other ones, and now and then a second of the same name, in any order. */
function objectOf(expected: Record<string, fc.Arbitrary<Tree>>): fc.Arbitrary<Tree> {
  const member = ([key, tree]: [string, fc.Arbitrary<Tree>]) => fc.tuple(fc.constant(key), tree);
  const usual = fc.tuple(...Object.entries(expected).map(member));
  const odd = fc.array(fc.oneof(...Object.entries(expected).map(member), fc.tuple(string, anyTree)), { maxLength: 2 });
  return fc
    .tuple(usual, odd)
    .chain(([some, more]) => fc.shuffledSubarray([...some, ...more], { minLength: some.length }))
    .map((members): Tree => ({ kind: 'object', members }));
}

const listOf = (item: fc.Arbitrary<Tree>) =>
  fc.array(item, { maxLength: 4 }).map((items): Tree => ({ kind: 'array', items }));
const rarely = (usual: fc.Arbitrary<Tree>) =>
  fc.oneof({ weight: 20, arbitrary: usual }, { weight: 1, arbitrary: anyTree });
const named = (...values: string[]) => fc.constantFrom(...values).map((value): Tree => ({ kind: 'string', value }));

const resource = objectOf({
  resourceType: rarely(named('A', 'B', 'é', 'Ã©', 'a\\b')),
  id: rarely(named('1', '2', 'é')),
  contained: anyTree,
});
const link = objectOf({ relation: named('next', 'self'), url: rarely(named('https://a.test/fhir?x="é"', 'b')) });
const bundle = objectOf({
  resourceType: rarely(named('Bundle', 'Bundle', 'Bundle', 'OperationOutcome')),
  type: rarely(named('searchset')),
  total: leaf,
  link: rarely(listOf(rarely(link))),
  entry: rarely(listOf(rarely(objectOf({ resource: rarely(resource), search: anyTree })))),
  issue: rarely(listOf(objectOf({ code: named('invalid', 'Not A Code') }))),
});
const spelling: fc.Arbitrary<Spelling> = fc.record({
  blanks: fc.array(fc.constantFrom('', '', ' ', '\n\t', '\r\n  '), { minLength: 1, maxLength: 7 }),
  escapes: fc.array(fc.boolean(), { minLength: 1, maxLength: 11 }),
});
const page = fc
  .tuple(fc.oneof({ weight: 20, arbitrary: bundle }, { weight: 1, arbitrary: anyTree }), spelling, fc.boolean())
  .map(([tree, how, hasMark]) => new TextEncoder().encode((hasMark ? '\ufeff' : '') + spell(tree, how)));

/** Writes the tree with blanks between the tokens and some characters as escapes, taken from `how` in turn. */
function spell(tree: Tree, how: Spelling): string {
  let turn = 0;
  const blank = () => how.blanks[turn++ % how.blanks.length] ?? '';
  const character = (unit: string) => {
    const escaped = how.escapes[turn++ % how.escapes.length] === true;
    return escaped ? `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}` : JSON.stringify(unit).slice(1, -1);
  };
  const quoted = (value: string) => {
    if (!how.escapes.includes(true)) return JSON.stringify(value);
    return `"${Array.from(value, (point) => (point.length === 1 ? character(point) : point)).join('')}"`;
  };
  const write = (node: Tree): string => {
    if (node.kind === 'text') return blank() + node.text + blank();
    if (node.kind === 'string') return blank() + quoted(node.value) + blank();
    if (node.kind === 'array') return `${blank()}[${node.items.map(write).join(',') || blank()}]${blank()}`;
    const members = node.members.map(([key, value]) => `${blank()}${quoted(key)}${blank()}:${write(value)}`);
    return `${blank()}{${members.join(',') || blank()}}${blank()}`;
  };
  return write(tree);
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const own = (value: unknown, key: string): unknown =>
  isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;

type Reference = { readonly kind: string; readonly value?: unknown; readonly found?: unknown };

/** What the page says, read by JSON.parse: the whole page as an object, in place of its slices the resources themselves. */
function reference(bytes: Uint8Array): Reference {
  const value = parse(bytes);
  if (value === undefined) return { kind: 'refused' };
  const type = own(value.json, 'resourceType');
  if (type === 'OperationOutcome') return { kind: 'outcome' };
  const [entry, links] = [own(value.json, 'entry') ?? [], own(value.json, 'link') ?? []];
  if (type !== 'Bundle' || !Array.isArray(entry) || !Array.isArray(links)) return { kind: 'refused' };
  const urls = links.filter((each) => own(each, 'relation') === 'next').map((each) => own(each, 'url'));
  if (urls.some((url) => typeof url !== 'string' || url === '')) return { kind: 'refused' };
  return { kind: 'bundle', found: { next: urls[0], entries: entry.map(storable) } };
}

function storable(entry: unknown): unknown {
  const found = own(entry, 'resource');
  const [resourceType, id] = [own(found, 'resourceType'), own(found, 'id')];
  const isStorable = typeof resourceType === 'string' && resourceType !== '' && typeof id === 'string' && id !== '';
  return isStorable ? { resourceType, id, resource: found } : 'fault';
}

function parse(bytes: Uint8Array): { json: unknown } | undefined {
  try {
    return { json: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) };
  } catch {
    return undefined;
  }
}

/** The slicer's answer in the reference's words. */
function seen(bytes: Uint8Array, slicer: Slicer): Reference {
  const result = slicer(bytes);
  if (result.kind !== 'bundle') return { kind: result.kind };
  const entries: unknown[] = result.slices.map(({ start, end, resourceType, id }) => ({
    resourceType,
    id,
    resource: parse(bytes.subarray(start, end))?.json,
  }));
  for (const { index } of result.faults) entries.splice(index, 0, 'fault');
  return { kind: 'bundle', found: { next: result.next, entries } };
}

/** Braces: fast-check takes a returned value for a verdict, and `expect` returns one. */
const agrees = (slicer: Slicer) =>
  fc.property(page, (bytes) => {
    expect(seen(bytes, slicer)).toStrictEqual(reference(bytes));
  });

test('any bundle in any layout is cut into what JSON.parse reads', () => {
  fc.assert(agrees(sliceBundle), budget);
});

test('control: a slicer that looks for "resource" is caught by the same property', () => {
  const result = fc.check(agrees(brokenSlicer), { numRuns: 1_000 });
  expect(result.failed).toBe(true);
});

test('control: a slicer that takes contained ids for the resource is caught by the same property', () => {
  const swapped: Slicer = (bytes) => {
    const result = sliceBundle(bytes);
    if (result.kind !== 'bundle') return result;
    const slices = result.slices.map((each) => ({
      ...each,
      id: lastId(bytes.subarray(each.start, each.end)) ?? each.id,
    }));
    return { ...result, slices };
  };
  expect(fc.check(agrees(swapped), { numRuns: 5_000 }).failed).toBe(true);
});

/** Bytes that matter to JSON and UTF-8, so that a change more often meets the grammar than the content. */
const TELLING = [
  ...new TextEncoder().encode('{}[]:,"\\u0aEe+-.tfn/\n\t 19'),
  0x00,
  0x1f,
  0x7f,
  0x80,
  0xbf,
  0xc0,
  0xc3,
  0xe0,
  0xed,
  0xf0,
  0xf4,
  0xff,
];
const change = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  drop: fc.nat({ max: 3 }),
  add: fc.array(fc.oneof(fc.constantFrom(...TELLING), fc.nat({ max: 255 })), { maxLength: 3 }),
});

test('changed bytes are refused exactly when JSON.parse refuses them, and are read alike when not', () => {
  const counts = { refused: 0, read: 0 };
  const property = fc.property(page, fc.array(change, { minLength: 1, maxLength: 3 }), (bytes, changes) => {
    const changed = changes.reduce(apply, bytes);
    const result = sliceBundle(changed);
    const isRefused = result.kind === 'refused' && result.reason !== 'not_a_bundle';
    expect(isRefused).toBe(parse(changed) === undefined);
    expect(seen(changed, sliceBundle)).toStrictEqual(reference(changed));
    counts[isRefused ? 'refused' : 'read'] += 1;
  });
  fc.assert(property, budget);
  expect(counts.refused).toBeGreaterThan(100);
  expect(counts.read).toBeGreaterThan(100);
});

function apply(bytes: Uint8Array, { at, drop, add }: { at: number; drop: number; add: readonly number[] }): Uint8Array {
  const place = Math.floor(at * bytes.length);
  return Uint8Array.from([...bytes.subarray(0, place), ...add, ...bytes.subarray(place + drop)]);
}

function lastId(bytes: Uint8Array): string | undefined {
  return [...new TextDecoder().decode(bytes).matchAll(/"id"\s*:\s*"([^"\\]*)"/g)].at(-1)?.[1];
}

/** What a hurried engineer might write: find the key as text, count braces to its end. */
function brokenSlicer(bytes: Uint8Array): BundleSlices {
  const text = new TextDecoder('latin1').decode(bytes);
  const slices: { start: number; end: number; resourceType: string; id: string }[] = [];
  for (let at = text.indexOf('"resource"'); at >= 0; at = text.indexOf('"resource"', at + 1)) {
    const start = text.indexOf('{', at);
    const end = text.indexOf('}', start) + 1;
    const value = parse(bytes.subarray(start, end))?.json;
    const [resourceType, id] = [own(value, 'resourceType'), own(value, 'id')];
    if (typeof resourceType === 'string' && typeof id === 'string') slices.push({ start, end, resourceType, id });
  }
  return { kind: 'bundle', type: 'searchset', slices, faults: [] };
}
