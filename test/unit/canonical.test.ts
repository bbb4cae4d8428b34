import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalForm } from '../../src/core/canonical.ts';

const form = (text: string) => canonicalForm(new TextEncoder().encode(text));

describe('noise is no change', () => {
  test.each([
    ['key order, at every level', '{"a":1,"b":{"c":2,"d":3}}', '{"b":{"d":3,"c":2},"a":1}'],
    ['white space', '{"a":[1,2]}', ' {\r\n\t"a" : [ 1 , 2 ] }\n'],
    ['how a character is escaped', '{"a":"é/\\"\u2028"}', '{"\\u0061":"\\u00e9\\/\\u0022\\u2028"}'],
    ['duplicate keys before the last', '{"a":2}', '{"a":1,"a":2}'],
    [
      'meta.lastUpdated and meta.versionId',
      '{"meta":{"profile":["p"]}}',
      '{"meta":{"versionId":"7","lastUpdated":"x","profile":["p"]}}',
    ],
    ['a meta that holds nothing else', '{"id":"1"}', '{"id":"1","meta":{"lastUpdated":"x"}}'],
    ['an empty meta', '{"id":"1"}', '{"meta":{},"id":"1"}'],
    ['keys of meta spelled with escapes', '{}', '{"m\\u0065ta":{"v\\u0065rsionId":"1"}}'],
  ])('%s', (_, one, other) => {
    expect(form(one)).toBe(form(other));
  });

  test.each([
    'X-Amz-Signature=1',
    'a=1&x-amz-signature=2',
    'X-Goog-Signature=3',
    'sv=1&sig=4',
    'Expires=1&Signature=5',
  ])('the query of a url that is signed by %s', (query) => {
    const signed = form(`{"content":[{"attachment":{"url":"https://files.test/a.pdf?${query}"}}]}`);
    expect(signed).toBe('{"content":[{"attachment":{"url":"https://files.test/a.pdf"}}]}');
  });
});

describe('every other difference is a change', () => {
  test.each([
    ['a decimal with another precision', '{"v":1.0}', '{"v":1.00}'],
    ['a number and its spelling with an exponent', '{"v":100}', '{"v":1e2}'],
    ['digits beyond a double', '{"v":0.1000000000000000055}', '{"v":0.1000000000000000056}'],
    ['a number and a string', '{"v":1}', '{"v":"1"}'],
    ['the order of an array', '[1,2]', '[2,1]'],
    ['the rest of meta', '{"meta":{"source":"a"}}', '{"meta":{"source":"b"}}'],
    [
      'meta of a contained resource',
      '{"contained":[{"meta":{"versionId":"1"}}]}',
      '{"contained":[{"meta":{"versionId":"2"}}]}',
    ],
    ['meta deeper down', '{"a":{"meta":{"versionId":"1"}}}', '{"a":{"meta":{"versionId":"2"}}}'],
    ['lastUpdated outside meta', '{"lastUpdated":"1"}', '{"lastUpdated":"2"}'],
    ['an unsigned query', '{"url":"https://a.test/?page=1"}', '{"url":"https://a.test/?page=2"}'],
    [
      'a query with a key that only ends like a signature',
      '{"url":"https://a.test/?design=1"}',
      '{"url":"https://a.test/?design=2"}',
    ],
    ['a signature outside the query', '{"url":"https://a.test/&sig=1"}', '{"url":"https://a.test/&sig=2"}'],
    ['a signed link that is no url property', '{"text":"https://a.test/?sig=1"}', '{"text":"https://a.test/?sig=2"}'],
    ['null and missing', '{"a":null}', '{}'],
    ['an empty object and an empty array', '{"a":{}}', '{"a":[]}'],
  ])('%s', (_, one, other) => {
    expect(form(one)).not.toBe(form(other));
  });
});

test('the form is sorted, compact and keeps the literal text of numbers', () => {
  expect(form('{ "b": [1.00, -0, 1E-22, true, null], "a": "x\\n", "10": {}, "9": [] }')).toBe(
    '{"10":{},"9":[],"a":"x\\n","b":[1.00,-0,1E-22,true,null]}',
  );
});

test('a meta that is no object, and values that are no resource, are written as they are', () => {
  for (const text of [
    '{"meta":null}',
    '{"meta":["versionId"]}',
    '[{"meta":{"versionId":"1"}}]',
    '"meta"',
    '1.00',
    'null',
    '{"__proto__":{"url":1}}',
  ])
    expect(form(text)).toBe(text);
});

test('a form is JSON with the same content, and the form of itself, for any JSON value', () => {
  const value = fc.jsonValue({ maxDepth: 5 });
  fc.assert(
    fc.property(value, fc.constantFrom(undefined, 1, '\t'), (json, indent) => {
      const wrapped = [json];
      const text = form(JSON.stringify(wrapped, null, indent));
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(wrapped)));
      expect(form(text)).toBe(text);
    }),
    { numRuns: 2_000 },
  );
});

test('what is not JSON, or nested too deep, is its own form and no error', () => {
  for (const text of ['', ' ', '{', '{"a":1}x', '{"meta":{"versionId":"1"}', '\ufeff{}', '['.repeat(100_000)])
    expect(form(text)).toBe(text);
  expect(() => canonicalForm(Uint8Array.of(0x22, 0xff, 0x22))).not.toThrow();
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
  expect(form(deep)).toBe(deep);
});
