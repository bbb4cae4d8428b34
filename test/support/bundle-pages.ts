import fc from 'fast-check';

/*
 * Pages as fast-check makes them: bundles in any layout, some that are none, in any spelling; and ways to damage them.
 */

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
/** Over blocks of 64 bytes, with what could be taken for an end at any place of them. */
const long = fc
  .tuple(fc.integer({ min: 50, max: 200 }), fc.constantFrom('', '"', '\\\\\\"', 'é', '},{'))
  .map(([length, middle]) => `${'x'.repeat(length)}${middle}${'y'.repeat(length % 67)}`);
const backslashes = fc.integer({ min: 1, max: 9 }).map((count) => `${'\\'.repeat(count)}"`);
const string = fc.oneof(
  { weight: 8, arbitrary: word },
  { weight: 8, arbitrary: fc.string({ unit: 'grapheme', maxLength: 8 }) },
  { weight: 1, arbitrary: long },
  { weight: 1, arbitrary: backslashes },
);
/** None with a backslash: once JSON.parse of Node 24 and 26 has read such a name, it takes others that are written with escapes for it (nodejs/node, issue 63785). */
const name = string.filter((value) => !value.includes('\\'));
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
      members: fc.array(fc.tuple(name, tie('tree')), { maxLength: 4 }).map((members) => oddOnce(members, [])),
    }),
  ),
})).tree;

/** An object with the expected members, other ones, and now and then a second of the same name, in any order. */
function objectOf(expected: Record<string, fc.Arbitrary<Tree>>): fc.Arbitrary<Tree> {
  const member = ([key, tree]: [string, fc.Arbitrary<Tree>]) => fc.tuple(fc.constant(key), tree);
  const usual = fc.tuple(...Object.entries(expected).map(member));
  const odd = fc.array(fc.oneof(...Object.entries(expected).map(member), fc.tuple(name, anyTree)), { maxLength: 2 });
  return fc
    .tuple(usual, odd)
    .chain(([some, more]) => fc.shuffledSubarray([...some, ...more], { minLength: some.length }))
    .map((members): Tree => ({ kind: 'object', members: oddOnce(members, Object.keys(expected)) }));
}

/**
 * Names twice only where somebody reads them. Of `"é"` and `"\u00e9"` in one object JSON.parse of Node 26.10 gave the last one when it saw a page for the first
 * time, and the first one when it saw it again: nothing to compare with.
 */
function oddOnce<M extends readonly [string, Tree]>(members: readonly M[], names: readonly string[]): readonly M[] {
  const isFirst = ([name]: M, at: number) => members.findIndex(([other]) => other === name) === at;
  return members.filter((member, at) => names.includes(member[0]) || isFirst(member, at));
}

const listOf = (item: fc.Arbitrary<Tree>) =>
  fc.array(item, { maxLength: 4 }).map((items): Tree => ({ kind: 'array', items }));
const rarely = (usual: fc.Arbitrary<Tree>) =>
  fc.oneof({ weight: 20, arbitrary: usual }, { weight: 1, arbitrary: anyTree });
const named = (...values: string[]) => fc.constantFrom(...values).map((value): Tree => ({ kind: 'string', value }));

const resource = objectOf({
  resourceType: rarely(named('A', 'B', 'é', 'Ã©', 'a\\b')),
  id: rarely(named('1', '2', 'é', 'i'.repeat(130))),
  contained: anyTree,
});
const link = objectOf({
  relation: named('next', 'self'),
  url: rarely(named('https://a.test/fhir?x="é"', 'b', `https://a.test/fhir?_getpages=${'é'.repeat(90)}`)),
});
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
export const page: fc.Arbitrary<Uint8Array> = fc
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
/** One place of a page, from 0 to 1, where bytes go and others come. */
export const change = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  drop: fc.nat({ max: 3 }),
  add: fc.array(fc.oneof(fc.constantFrom(...TELLING), fc.nat({ max: 255 })), { maxLength: 3 }),
});

export function apply(
  bytes: Uint8Array,
  { at, drop, add }: { at: number; drop: number; add: readonly number[] },
): Uint8Array {
  const place = Math.floor(at * bytes.length);
  return Uint8Array.from([...bytes.subarray(0, place), ...add, ...bytes.subarray(place + drop)]);
}
