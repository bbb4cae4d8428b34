import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type BundleSlices, sliceBundle } from '../../src/core/bundle.ts';
import { NESTING_MAX } from '../../src/core/json-scan.ts';

const bytesOf = (text: string) => new TextEncoder().encode(text);
const slice = (text: string) => sliceBundle(bytesOf(text));
const page = (entry: string) => `{"resourceType":"Bundle","type":"searchset","entry":${entry}}`;
const inBundle = (resource: string) => page(`[{"resource":${resource}}]`);
const refused = (reason: string) => ({ kind: 'refused', reason });

function bundleOf(result: BundleSlices) {
  if (result.kind !== 'bundle') throw new Error(`expected a bundle, got ${JSON.stringify(result)}`);
  return result;
}

/** The slices as text, as they lie in the page. */
function textsOf(text: string): string[] {
  const bytes = bytesOf(text);
  return bundleOf(sliceBundle(bytes)).slices.map(({ start, end }) => new TextDecoder().decode(bytes.slice(start, end)));
}

describe('a slice is the resource as it was sent', () => {
  test('spacing, decimals, escapes and accents are kept byte by byte', () => {
    const resource = '{ "resourceType" : "Obs\\u0065rvation",\r\n\t"id":"a","v":1.00,"w":1E-22,"s":"é😀\\u00e9\\/" }';
    expect(textsOf(` \n${page(`[ {"fullUrl":"x", "resource" : ${resource} } ]`)}\n `)).toEqual([resource]);
    const [found] = bundleOf(slice(inBundle(resource))).slices;
    expect(found).toMatchObject({ resourceType: 'Observation', id: 'a' });
  });

  test('a byte order mark is skipped and counted in the places', () => {
    const bytes = bytesOf(`\ufeff${inBundle('{"resourceType":"Patient","id":"p"}')}`);
    const [found] = bundleOf(sliceBundle(bytes)).slices;
    expect(new TextDecoder().decode(bytes.slice(found?.start, found?.end))).toBe('{"resourceType":"Patient","id":"p"}');
    expect(slice('\ufeff\ufeff{}')).toEqual(refused('not_json'));
  });

  test('keys come in any order: entry before resourceType, id last', () => {
    const text =
      '{"entry":[{"search":{"score":1},"resource":{"x":[{}],"id":"1","resourceType":"A"}}],"resourceType":"Bundle"}';
    expect(bundleOf(slice(text)).slices).toMatchObject([{ resourceType: 'A', id: '1' }]);
  });

  test('id and resourceType of contained and nested objects are never taken for the resource', () => {
    const inner = '"contained":[{"resourceType":"Inner","id":"no"}],"subject":{"id":"no","resourceType":"No"}';
    expect(
      bundleOf(slice(inBundle(`{${inner},"resourceType":"Outer","id":"yes",${inner.replaceAll('contained', 'x')}}`)))
        .slices,
    ).toMatchObject([{ resourceType: 'Outer', id: 'yes' }]);
    expect(bundleOf(slice(inBundle(`{"resourceType":"Outer",${inner}}`))).faults).toEqual([
      { index: 0, fault: 'no_id' },
    ]);
  });

  test('keys spelled with escapes are the same keys', () => {
    const text =
      '{"resour\\u0063eType":"Bundle","\\u0065ntry":[{"res\\u006Furce":{"resourceTyp\\u0065":"A","\\u0069d":"1"}}]}';
    expect(bundleOf(slice(text)).slices).toMatchObject([{ resourceType: 'A', id: '1' }]);
  });

  test('of duplicate keys the last one counts, at every level', () => {
    const resource = '{"id":"old","resourceType":"Old","id":"new","resourceType":"New"}';
    const entry = `[{"resource":{},"resource":1,"resource":${resource}}]`;
    const text = `{"resourceType":"X","link":{},"entry":${entry},"link":[],"resourceType":"Bundle"}`;
    expect(textsOf(text)).toEqual([resource]);
    expect(bundleOf(slice(text))).toMatchObject({ faults: [], slices: [{ resourceType: 'New', id: 'new' }] });
    expect(bundleOf(slice(inBundle('{"resourceType":"A","id":"1","id":2}'))).faults).toEqual([
      { index: 0, fault: 'no_id' },
    ]);
  });

  test.each(['[]', 'null', '[{}]', '{}'])(
    'a second `entry` refuses the page, as entries of the first may be out: %s',
    (entry) => {
      expect(slice(`{"resourceType":"Bundle","entry":[],"\\u0065ntry":${entry}}`)).toEqual(refused('not_a_bundle'));
    },
  );

  test('a type is not mistaken for its neighbour of the same bytes', () => {
    const types = ['é', 'Ã©', 'é', 'a\\\\b', 'a\\b', 'ab', 'ab'];
    const entries = types.map((type) => `{"resource":{"resourceType":"${type}","id":"1"}}`);
    const found = bundleOf(slice(page(`[${entries}]`))).slices.map(({ resourceType }) => resourceType);
    expect(found).toEqual(types.map((type) => JSON.parse(`"${type}"`)));
  });
});

describe('what the page says of itself', () => {
  test('type, total and next are read; the url is unescaped', () => {
    const link = '[{"relation":"self","url":"s"},{"url":"https:\\/\\/a\\u002Fb?c=\\"d\\"","relation":"next"}]';
    const result = slice(`{"link":${link},"total":12,"type":"searchset","resourceType":"Bundle"}`);
    expect(result).toEqual({
      kind: 'bundle',
      type: 'searchset',
      slices: [],
      faults: [],
      next: 'https://a/b?c="d"',
      total: 12,
    });
  });

  test('a missing type is empty; a total that is no count is not given', () => {
    expect(slice('{"resourceType":"Bundle"}')).toEqual({ kind: 'bundle', type: '', slices: [], faults: [] });
    for (const total of ['-1', '1.5', '"3"', 'null', '1e400', '[3]', '{}', `1${'0'.repeat(40)}`])
      expect(slice(`{"resourceType":"Bundle","total":${total}}`)).not.toHaveProperty('total');
    expect(slice('{"resourceType":"Bundle","total":1e2}')).toHaveProperty('total', 100);
  });

  test.each(['[]', 'null', '[ ]'])('entry %s is an empty page', (entry) => {
    expect(bundleOf(slice(page(entry)))).toMatchObject({ slices: [], faults: [] });
  });

  test.each(['{}', '"x"', '1', 'true'])('entry %s refuses the page, for an empty one would mean deletions', (entry) => {
    expect(slice(page(entry))).toEqual(refused('not_a_bundle'));
  });

  test.each(['[{"relation":"next"}]', '[{"relation":"next","url":7}]', '[{"relation":"next","url":""}]', '{}', '"x"'])(
    'link %s refuses the page, for a last one would mean deletions',
    (link) => {
      expect(slice(`{"resourceType":"Bundle","link":${link}}`)).toEqual(refused('not_a_bundle'));
    },
  );

  test.each(['null', '[]', '[null,1,{"relation":"self"},{"relation":["next"]}]'])('link %s has no next', (link) => {
    expect(slice(`{"resourceType":"Bundle","link":${link}}`)).not.toHaveProperty('next');
  });

  test('an entry without a storable resource is a named fault with its index, and the others are cut', () => {
    const entries = [
      'null',
      '{}',
      '{"resource":null}',
      '{"resource":[]}',
      '{"resource":{"id":"1"}}',
      '{"resource":{"resourceType":"A","id":""}}',
    ];
    const result = bundleOf(slice(page(`[${entries},{"resource":{"resourceType":"A","id":"1"}},"x"]`)));
    expect(result.slices).toHaveLength(1);
    expect(result.faults).toEqual([
      { index: 0, fault: 'not_an_object' },
      { index: 1, fault: 'no_resource' },
      { index: 2, fault: 'no_resource' },
      { index: 3, fault: 'not_an_object' },
      { index: 4, fault: 'no_type' },
      { index: 5, fault: 'no_id' },
      { index: 7, fault: 'not_an_object' },
    ]);
  });

  test('an OperationOutcome gives at most 32 issue codes and no text of it', () => {
    const issue =
      '[{"severity":"error","code":"too-costly","diagnostics":"Ann Smith"},{"code":"Ann Smith"},{"code":7},null]';
    expect(slice(`{"issue":${issue},"resourceType":"OperationOutcome"}`)).toEqual({
      kind: 'outcome',
      codes: ['too-costly', 'unknown', 'unknown', 'unknown'],
    });
    const many = slice(`{"resourceType":"OperationOutcome","issue":[${Array(100).fill('{"code":"invalid"}')}]}`);
    expect(many).toHaveProperty('codes.length', 32);
  });

  test.each(['[]', '1', '"Bundle"', 'null', '{}', '{"resourceType":"Patient"}', '{"resourceType":["Bundle"]}'])(
    '%s is JSON but not a bundle',
    (text) => {
      expect(slice(text)).toEqual(refused('not_a_bundle'));
    },
  );
});

describe('only JSON is accepted', () => {
  const good = [
    '0',
    '-0',
    '-0.0',
    '1.00',
    '1e5',
    '1E+5',
    '1.5e-10',
    '""',
    '"\\u0000\\ud800\\b\\f"',
    '"\u007f\u2028"',
    '[ ]',
    '{ }',
    '[[],{}]',
    'true',
  ];
  test.each(good)('value %s is read', (value) => {
    expect(textsOf(inBundle(`{"resourceType":"A","id":"1","v":${value}}`))).toHaveLength(1);
    expect(slice(value)).toEqual(refused('not_a_bundle'));
  });

  const bad = [
    '',
    '01',
    '-',
    '+1',
    '.5',
    '1.',
    '1.e5',
    '1e',
    '1e+',
    '0x1',
    'NaN',
    'Infinity',
    '-Infinity',
    'tru',
    'True',
    'nul',
    'truee',
    "'a'",
    '"',
    '"a',
    '"\n"',
    '"\t"',
    '"\u0000"',
    '"\\x41"',
    '"\\u12"',
    '"\\u12g4"',
    '"\\',
    '[1,]',
    '[,1]',
    '[1 2]',
    '[',
    ']',
    '[}',
    '{"a":1,}',
    '{,}',
    '{"a"}',
    '{"a":}',
    '{a:1}',
    '{1:1}',
    '{"a":1 "b":2}',
    '{"a" 1}',
    '{"a"::1}',
    '[1]]',
    '// c',
    '/**/',
    '\u00a01',
    '\v1',
    '\ufeff',
  ];
  test.each(bad)('value %j is refused wherever it stands', (value) => {
    expect(slice(value), 'alone').toEqual(refused('not_json'));
    expect(slice(inBundle(value)), 'as the resource').toEqual(refused('not_json'));
    expect(slice(inBundle(`{"resourceType":"A","id":"1","v":${value}}`)), 'in the resource').toEqual(
      refused('not_json'),
    );
    expect(slice(`{"resourceType":"Bundle","link":[{"x":${value}}]}`), 'in a link').toEqual(refused('not_json'));
  });

  test('nothing may stand behind the page, and every page that was cut short is refused', () => {
    const text = inBundle('{"resourceType":"Patient","id":"p","a":[true,null,-1.5e3,"é\\u00e9"]}');
    for (const tail of ['x', '{}', ',', '\u0000']) expect(slice(text + tail)).toEqual(refused('not_json'));
    const bytes = bytesOf(text);
    for (let length = 0; length < bytes.length; length += 1)
      expect(sliceBundle(bytes.subarray(0, length)), `${length}`).toMatchObject({ kind: 'refused' });
  });

  const broken = [
    [0x80],
    [0xc0, 0x80],
    [0xc1, 0xbf],
    [0xe0, 0x80, 0x80],
    [0xed, 0xa0, 0x80],
    [0xf0, 0x80, 0x80, 0x80],
    [0xf4, 0x90, 0x80, 0x80],
    [0xf5, 0x80, 0x80, 0x80],
    [0xff],
    [0xc3],
    [0xe2, 0x82],
    [0xf0, 0x9f, 0x98],
  ];
  test.each(broken.map((sequence) => ({ sequence })))('bytes $sequence are not UTF-8', ({ sequence }) => {
    const at = bytesOf('{"resourceType":"Bundle","x":"');
    expect(sliceBundle(Uint8Array.from([...at, ...sequence, ...bytesOf('"}')]))).toEqual(refused('not_utf8'));
  });

  test('every character from U+0080 to U+10FFFF is UTF-8', () => {
    for (let from = 0x80; from < 0x110000; from += 0x400) {
      const points = Array.from({ length: 0x400 }, (_, i) => from + i).filter(
        (point) => (point < 0xd800 || point > 0xdfff) && point <= 0x10ffff,
      );
      expect(slice(`{"resourceType":"Bundle","x":"${String.fromCodePoint(...points)}"}`).kind).toBe('bundle');
    }
  });

  test('512 levels are read, 513 are refused, also a million', () => {
    const nested = (levels: number) =>
      inBundle(`{"resourceType":"A","id":"1","v":${'['.repeat(levels)}${']'.repeat(levels)}}`);
    expect(slice(nested(NESTING_MAX - 4)).kind).toBe('bundle');
    expect(slice(nested(NESTING_MAX - 3))).toEqual(refused('too_deep'));
    expect(slice('{"a":'.repeat(1_000_000))).toEqual(refused('too_deep'));
  });
});

const dataDir = new URL('../../../shared/data/', import.meta.url);
const hasData = existsSync(dataDir);
const where = hasData ? '' : ' (NOT RUN: no ../shared/data beside this checkout)';

function filesOf(folder: string): { name: string; bytes: Uint8Array; text: string }[] {
  const url = new URL(`${folder}/`, dataDir);
  return readdirSync(url).map((name) => {
    const bytes = readFileSync(new URL(encodeURIComponent(name), url));
    return { name, bytes, text: new TextDecoder().decode(bytes) };
  });
}

test.skipIf(!hasData)(`malformed files written by others are refused, alone and inside a page${where}`, () => {
  const files = filesOf('malformed/json');
  expect(files.length).toBeGreaterThan(5);
  for (const { name, bytes, text } of files) {
    expect(sliceBundle(bytes), name).toEqual(refused('not_json'));
    expect(slice(inBundle(text)), name).toEqual(refused('not_json'));
  }
});

test.skipIf(!hasData)(`odd but valid files written by others are cut out byte by byte${where}`, () => {
  const files = [...filesOf('odd-valid'), ...filesOf('malformed/fhir')];
  expect(files.length).toBeGreaterThan(20);
  for (const { name, bytes, text } of files) {
    const { resourceType, id } = JSON.parse(text);
    expect(sliceBundle(bytes).kind, name).toBe(resourceType === 'Bundle' ? 'bundle' : 'refused');
    const isStorable = typeof resourceType === 'string' && typeof id === 'string';
    expect(textsOf(inBundle(text.trim())), name).toEqual(isStorable ? [text.trim()] : []);
  }
});

test.skipIf(!hasData)(`Synthea patients are cut as JSON.parse reads them${where}`, () => {
  for (const { name, bytes, text } of filesOf('synthea')) {
    const { entry } = JSON.parse(text);
    const { slices, faults } = bundleOf(sliceBundle(bytes));
    expect(slices.length + faults.length, name).toBe(entry.length);
    const faulty = new Set(faults.map(({ index }) => index));
    const expected = entry
      .filter((_: unknown, index: number) => !faulty.has(index))
      .map((e: { resource: unknown }) => e.resource);
    expect(
      slices.map(({ start, end }) => JSON.parse(bytes.subarray(start, end).toString())),
      name,
    ).toEqual(expected);
  }
});
