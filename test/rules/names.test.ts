import { describe, expect, test } from 'vitest';
import { readTests } from './support/files.ts';
import { sameNames } from './support/names.ts';

describe('names of tests', () => {
  test('are told apart by every report', () => {
    expect(sameNames(readTests())).toEqual([]);
  });

  test.each([
    "test('purges', () => {}); test('purges', () => {});",
    "describe('a', () => { it('purges', () => {}); }); describe('a', () => { test.skip('purges', () => {}); });",
    "test('purges', () => {}); test.each([1])('purges', () => {});",
    "test.each([1])('purges', () => {}); test.skipIf(away)(`purges`, () => {});",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the code of a test, as text.
    'test(`purges ${kind}`, () => {}); test(`purges ${kind}`, () => {});',
  ])('that are the same are seen in %s', (text) => {
    expect(sameNames([{ path: 'test/a.test.ts', text }])).toHaveLength(1);
  });

  test('that are the same are seen across files', () => {
    const text = "test('purges', () => {});";
    expect(
      sameNames([
        { path: 'test/a.test.ts', text },
        { path: 'test/b.test.ts', text },
      ]),
    ).toEqual(['purges: test/a.test.ts:1, test/b.test.ts:1']);
  });

  test.each([
    "test('purges', () => {}); test('pulls', () => {});",
    "describe('a', () => { it('purges', () => {}); }); describe('b', () => { it('purges', () => {}); });",
    "test.each([1, 2])('purges %d', () => {}); test.each([3])('purges %d', () => {});",
    "describe('purges', () => { test('purges', () => {}); });",
    "/purges/.test('purges'); pattern.test('purges'); pattern.test('purges');",
  ])('that differ are left alone in %s', (text) => {
    expect(sameNames([{ path: 'test/a.test.ts', text }])).toEqual([]);
  });
});
