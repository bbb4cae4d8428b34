import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Ends } from '../../src/core/authorization.ts';
import {
  deadReasonOfEnd,
  decideWarning,
  earliestEnd,
  hardEnd,
  NO_ENDS,
  nextLookAt,
  steady,
} from '../../src/core/calendar.ts';
import { UNITS } from '../../src/core/limits.ts';

const { DAY_MS } = UNITS;
const NOW = Date.UTC(2026, 6, 1);
const WARN_DAYS = [14, 7, 1];
const ends = (change: Partial<Ends>): Ends => ({ ...NO_ENDS, ...change });

describe('the earliest end', () => {
  test('of nothing known is nothing', () => {
    expect(earliestEnd(NO_ENDS)).toBeNull();
    expect(hardEnd(NO_ENDS)).toBeNull();
  });

  test('is the earliest of all four; only the refresh token’s can be moved by a refresh', () => {
    const all = ends({ refreshToken: NOW, maxAuthorization: NOW + 2, accessGrant: NOW + 3, consent: NOW + 1 });
    expect(earliestEnd(all)).toEqual({ kind: 'refreshToken', at: NOW });
    expect(hardEnd(all)).toEqual({ kind: 'consent', at: NOW + 1 });
  });

  test.each([
    ['refreshToken', 'refresh_expired'],
    ['maxAuthorization', 'max_authorization_reached'],
    ['accessGrant', 'max_authorization_reached'],
    ['consent', 'consent_ended'],
  ] as const)('past the end %s an authorization is dead as %s', (kind, reason) => {
    expect(deadReasonOfEnd(kind)).toBe(reason);
  });
});

describe('an end told anew', () => {
  test('stays where it was when it moved by seconds, and moves when it moved', () => {
    expect(steady({ before: NOW, told: NOW + 1_500 })).toBe(NOW);
    expect(steady({ before: NOW, told: NOW + DAY_MS })).toBe(NOW + DAY_MS);
    expect(steady({ before: null, told: NOW })).toBe(NOW);
    expect(steady({ before: NOW, told: null })).toBe(NOW);
  });
});

describe('a warning', () => {
  const decide = (daysAhead: number, warnedDaysAhead: number | null = null) => {
    const at = NOW + daysAhead * DAY_MS;
    const warnedAt = warnedDaysAhead === null ? null : at - warnedDaysAhead * DAY_MS;
    const end = ends({ consent: at });
    return decideWarning({ ends: end, warnDays: WARN_DAYS, warnedAt, refreshGrantedAt: NOW, now: NOW });
  };

  test('is not given while the end is far away, and planned for its day', () => {
    expect(decide(30)).toEqual({ kind: 'none', reason: 'far_away', nextAt: NOW + 16 * DAY_MS });
  });

  test.each([
    [14, 14, 7],
    [13.5, 14, 7],
    [7, 7, 1],
    [3, 3, 1],
    [1, 1, 0],
    [0.2, 1, 0],
  ])('%d days ahead says %d days, and the next look is %d days ahead', (daysAhead, daysLeft, nextDays) => {
    const at = NOW + daysAhead * DAY_MS;
    const nextAt = at - nextDays * DAY_MS;
    expect(decide(daysAhead)).toMatchObject({ kind: 'warn', daysLeft, nextAt });
  });

  test('is given once for each day, however often one looks', () => {
    expect(decide(13, 14)).toMatchObject({ kind: 'none', reason: 'said_before' });
    expect(decide(6.9, 13.9)).toMatchObject({ kind: 'warn', daysLeft: 7 });
    expect(decide(6, 6.5)).toMatchObject({ kind: 'none', reason: 'said_before' });
  });

  test('of a refresh token that lives for fewer days than the warning comes ahead is none: it is renewed each day', () => {
    const warnOf = (grantedDaysAgo: number) =>
      decideWarning({
        ends: ends({ refreshToken: NOW + (7 - grantedDaysAgo) * DAY_MS }),
        warnDays: WARN_DAYS,
        warnedAt: null,
        refreshGrantedAt: NOW - grantedDaysAgo * DAY_MS,
        now: NOW,
      });
    expect(warnOf(0)).toMatchObject({ kind: 'none', reason: 'far_away' });
    expect(warnOf(1)).toMatchObject({ kind: 'none', reason: 'far_away' });
    expect(warnOf(6.5), 'the renewal has failed for days').toMatchObject({ kind: 'warn', daysLeft: 1 });
  });

  test('ends with the end', () => {
    expect(decide(0)).toMatchObject({ kind: 'over', end: { kind: 'consent' } });
    expect(decide(-1)).toMatchObject({ kind: 'over' });
  });

  test('looked at whenever it asks to be, of any end and any days: each day is said once, in time, and then it is over', () => {
    const days = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(days, fc.double({ min: 0.01, max: 400, noNaN: true }), (warnDays, ahead) => {
        const end = ends({ accessGrant: NOW + ahead * DAY_MS });
        let now = nextLookAt({ ends: end, warnDays, refreshGrantedAt: NOW, now: NOW }) ?? Number.NaN;
        let warnedAt: number | null = null;
        let said = 0;
        for (let looks = 0; looks < 20; looks += 1) {
          const warning = decideWarning({ ends: end, warnDays, warnedAt, refreshGrantedAt: NOW, now });
          if (warning.kind === 'over') return said === 0 || said <= warnDays.length;
          if (warning.kind === 'warn') {
            said += 1;
            warnedAt = now;
          }
          if (warning.nextAt === null || warning.nextAt <= now) return false;
          now = warning.nextAt;
        }
        return false;
      }),
      { numRuns: 500 },
    );
  });
});
