import { describe, expect, test } from 'vitest';
import { NO_ENDS } from '../../src/core/calendar.ts';
import { decideRefresh } from '../../src/core/decide-refresh.ts';
import { UNITS } from '../../src/core/limits.ts';

const { HOUR_MS, DAY_MS } = UNITS;
const NOW = Date.UTC(2026, 6, 1);

const WAITS = { kind: 'throttled', since: NOW - 1, until: NOW + 1 } as const;
const ENDED = (maxAuthorization: number) => ({ ...NO_ENDS, maxAuthorization });

type Case = Parameters<typeof decideRefresh>[0];
type Change = Partial<Omit<Case, 'tokens'>> & { readonly tokens?: Partial<Case['tokens']> };

/** A 24 h token issued an hour ago; the next run comes in 6 h. */
function decide({ tokens, ...rest }: Change = {}) {
  return decideRefresh({
    attempt: 'none',
    trouble: null,
    rejected: false,
    doubtedVersion: null,
    neededUntil: NOW + 6 * HOUR_MS,
    ends: NO_ENDS,
    now: NOW,
    tokens: {
      version: 3,
      hasRefreshToken: true,
      accessExpiresAt: NOW + 23 * HOUR_MS,
      accessLifetimeMs: DAY_MS,
      refreshExpiresAt: NOW + 89 * DAY_MS,
      ...tokens,
    },
    ...rest,
  });
}

describe('every branch', () => {
  const gone = { accessExpiresAt: NOW };
  const bare = { hasRefreshToken: false, refreshExpiresAt: null };
  const spent = { refreshExpiresAt: NOW };
  const rows: readonly [string, Change, string, string][] = [
    ['a token that outlives the next run', {}, 'use', 'valid_long_enough'],
    ['a token that ends before the next run', { neededUntil: NOW + 23 * HOUR_MS }, 'refresh', 'ends_before_next_run'],
    [
      'a token that ends within the lead after it',
      { neededUntil: NOW + 22.5 * HOUR_MS },
      'refresh',
      'ends_before_next_run',
    ],
    ['a token that ends just after the lead', { neededUntil: NOW + 22 * HOUR_MS }, 'use', 'valid_long_enough'],
    ['an expired token', { tokens: gone }, 'refresh', 'expired'],
    ['a token the source has just refused', { rejected: true }, 'refresh', 'rejected_by_source'],
    ['a grant that its source says is over', { doubtedVersion: 3 }, 'refresh', 'said_to_be_over'],
    ['a pair that was granted since', { doubtedVersion: 2 }, 'use', 'valid_long_enough'],
    [
      'the same of a grant without refresh token: nobody is condemned by what a webhook says',
      { doubtedVersion: 3, tokens: { hasRefreshToken: false, refreshExpiresAt: null } },
      'use',
      'valid_and_not_refreshable',
    ],
    ['an attempt that a crash left open, whatever the token', { attempt: 'left_open' }, 'recover', 'attempt_left_open'],
    ['the same, with the token expired', { attempt: 'left_open', tokens: gone }, 'recover', 'attempt_left_open'],
    [
      'the same, with both tokens expired: nothing is left to spend',
      { attempt: 'left_open', tokens: { ...gone, ...spent } },
      'dead',
      'refresh_expired',
    ],
    [
      'the end of the authorization, however long its tokens live',
      { ends: ENDED(NOW) },
      'dead',
      'max_authorization_reached',
    ],
    [
      'the same, with an attempt left open',
      { ends: ENDED(NOW), attempt: 'left_open' },
      'dead',
      'max_authorization_reached',
    ],
    ['an attempt that ended without a verdict', { attempt: 'parked' }, 'recover', 'attempt_left_open'],
    ['the same, before the source wants to hear of it', { attempt: 'parked', trouble: WAITS }, 'wait', 'told_to_wait'],
    [
      'an expired token, before the source wants to hear of it',
      { tokens: gone, trouble: WAITS },
      'wait',
      'told_to_wait',
    ],
    [
      'a refused one, before the source wants to hear of it',
      { rejected: true, trouble: WAITS },
      'wait',
      'told_to_wait',
    ],
    [
      'an attempt left open by a crash, whatever the source wants',
      { attempt: 'left_open', trouble: WAITS },
      'recover',
      'attempt_left_open',
    ],
    ['a token that is good, whatever the source wants', { trouble: WAITS }, 'use', 'valid_long_enough'],
    [
      'an expired one, when the wait is over',
      { tokens: gone, trouble: { ...WAITS, until: NOW } },
      'refresh',
      'expired',
    ],
    [
      'our own fault, which is held back for the source as a whole',
      { tokens: gone, trouble: { ...WAITS, kind: 'misconfigured' } },
      'refresh',
      'expired',
    ],
    ['the end of the grant', { ends: { ...NO_ENDS, accessGrant: NOW } }, 'dead', 'max_authorization_reached'],
    ['the end of the consent', { ends: { ...NO_ENDS, consent: NOW } }, 'dead', 'consent_ended'],
    ['the end of the refresh token alone', { ends: { ...NO_ENDS, refreshToken: NOW } }, 'use', 'valid_long_enough'],
    [
      'an access token of a year, whose refresh token would idle for more than a day',
      { tokens: { accessLifetimeMs: 365 * DAY_MS, accessExpiresAt: NOW + 364 * DAY_MS } },
      'refresh',
      'kept_alive',
    ],
    [
      'the same on the day it was granted',
      { tokens: { accessLifetimeMs: 365 * DAY_MS, accessExpiresAt: NOW + 365 * DAY_MS } },
      'use',
      'valid_long_enough',
    ],
    [
      'a refresh token that ends before the run after this one could use it',
      { tokens: { refreshExpiresAt: NOW + 30 * HOUR_MS - 1 } },
      'refresh',
      'kept_alive',
    ],
    [
      'one that ends a day after that run',
      { tokens: { refreshExpiresAt: NOW + 30 * HOUR_MS } },
      'use',
      'valid_long_enough',
    ],
    ['an end that is still to come', { ends: ENDED(NOW + 1) }, 'use', 'valid_long_enough'],
    ['no refresh token and a valid access token', { tokens: bare }, 'use', 'valid_and_not_refreshable'],
    [
      'no refresh token and a token that ends before the next run',
      { tokens: bare, neededUntil: NOW + 30 * HOUR_MS },
      'use',
      'valid_and_not_refreshable',
    ],
    ['no refresh token and an expired one', { tokens: { ...bare, ...gone } }, 'dead', 'refresh_expired'],
    ['no refresh token and a refused one', { tokens: bare, rejected: true }, 'dead', 'revoked'],
    ['both tokens expired', { tokens: { ...gone, ...spent } }, 'dead', 'refresh_expired'],
    [
      'both expired at the end of the authorization',
      { tokens: { ...gone, ...spent }, ends: ENDED(NOW) },
      'dead',
      'max_authorization_reached',
    ],
    [
      'both expired, with the end of the authorization still to come',
      { tokens: { ...gone, ...spent }, ends: ENDED(NOW + 1) },
      'dead',
      'refresh_expired',
    ],
    // The server's clock decides: what we take for expired may still be granted.
    [
      'a refresh token past its time while the access token lives',
      { tokens: spent, neededUntil: NOW + 30 * HOUR_MS },
      'refresh',
      'ends_before_next_run',
    ],
    ['a refresh token that never ends', { tokens: { ...gone, refreshExpiresAt: null } }, 'refresh', 'expired'],
  ];

  test.each(rows)('%s', (_, change, kind, reason) => {
    expect(decide(change)).toMatchObject({ kind, reason });
  });
});

test('a token is expired at the very millisecond of its end, and not one before', () => {
  const bare = { hasRefreshToken: false, refreshExpiresAt: null };
  expect(decide({ tokens: { ...bare, accessExpiresAt: NOW } }).kind).toBe('dead');
  expect(decide({ tokens: { ...bare, accessExpiresAt: NOW + 1 } }).kind).toBe('use');
});

test('right after a refresh nothing is due again, for lifetimes with fractions too', () => {
  for (const accessLifetimeMs of [DAY_MS, 86_399_400, 86_398_100, HOUR_MS, 3_599_200]) {
    const lead = Math.min(HOUR_MS, accessLifetimeMs / 24);
    const neededUntil = NOW + Math.floor((accessLifetimeMs - lead + 2_000) / 60_000) * 60_000;
    const tokens = { accessLifetimeMs, accessExpiresAt: NOW + accessLifetimeMs };
    expect(decide({ tokens, neededUntil })).toEqual({ kind: 'use', reason: 'valid_long_enough' });
  }
});
