import { describe, expect, test } from 'vitest';
import { retryAfterOf } from '../../src/adapters/upstream/retry-after.ts';

const NOW = Date.UTC(2026, 6, 1, 12, 0, 0);
const HOUR_MS = 3_600_000;
const wait = (headers: Readonly<Record<string, string>>) =>
  retryAfterOf({ headers: new Map(Object.entries(headers)), now: NOW });

describe('how long a 429 asks us to wait', () => {
  test.each([
    ['no header at all', {}, null],
    ['seconds', { 'retry-after': '7' }, 7_000],
    ['seconds with a fraction', { 'retry-after': '2.5' }, 2_500],
    ['seconds with blanks', { 'retry-after': ' 7 ' }, 7_000],
    ['a date', { 'retry-after': 'Wed, 01 Jul 2026 12:00:30 GMT' }, 30_000],
    ['a date of RFC 850', { 'retry-after': 'Wednesday, 01-Jul-26 12:00:30 GMT' }, 30_000],
    ['a date of C', { 'retry-after': 'Wed Jul  1 12:00:30 2026' }, 30_000],
    ["Flexpa's own", { 'x-retry-after': '3' }, 3_000],
    ['seconds until reset', { 'x-ratelimit-reset': '26' }, 26_000],
    ['only the draft standard', { ratelimit: '"policy";r=0;t=26' }, 26_000],
    ['the draft standard in its older form', { ratelimit: 'limit=100, remaining=0, t=9' }, 9_000],
    ['the standard before all others', { 'retry-after': '5', 'x-retry-after': '3', 'x-ratelimit-reset': '99' }, 5_000],
    ['what is readable before what is not', { 'retry-after': 'soon', 'x-retry-after': '3' }, 3_000],
  ])('%s', (_, headers, wanted) => {
    expect(wait(headers)).toBe(wanted);
  });

  test.each([
    'soon',
    '',
    '-5',
    '3, 5',
    '1e3',
    'Infinity',
    'NaN',
    '0x10',

    'Wed, 99 Foo 2026 12:00:30 GMT',
    'canary 5',
  ])('%j is no time', (text) => {
    expect(wait({ 'retry-after': text })).toBeNull();
    expect(wait({ 'x-retry-after': text })).toBeNull();
  });

  test.each([
    ['seconds', { 'retry-after': '999999999' }],
    ['digits without end', { 'retry-after': '9'.repeat(400) }],
    ['a date far away', { 'retry-after': 'Fri, 31 Dec 9999 23:59:59 GMT' }],
    ['a reset that is an instant and no wait', { 'x-ratelimit-reset': String(NOW / 1_000) }],
    ['the draft standard', { ratelimit: '"p";r=0;t=999999999' }],
  ])('more than six hours counts as six: %s', (_, headers) => {
    expect(wait(headers)).toBe(6 * HOUR_MS);
  });

  test('no time at all counts as a second: a server that throttles us is not hammered', () => {
    expect([wait({ 'retry-after': '0' }), wait({ 'retry-after': '0.01' }), wait({ 'x-retry-after': '0' })]).toEqual([
      1_000, 1_000, 1_000,
    ]);
  });

  test('a date that is over comes from another clock and says nothing', () => {
    expect(wait({ 'retry-after': 'Wed, 01 Jul 2026 11:59:00 GMT' })).toBeNull();
    expect(wait({ 'retry-after': 'Wed, 01 Jul 2026 11:59:00 GMT', 'x-retry-after': '4' })).toBe(4_000);
  });

  test('a date is read on the clock it is given, be that a fast one', () => {
    const headers = new Map([['retry-after', new Date(NOW + HOUR_MS).toUTCString()]]);
    expect(retryAfterOf({ headers, now: NOW + HOUR_MS - 5_000 })).toBe(5_000);
  });
});
