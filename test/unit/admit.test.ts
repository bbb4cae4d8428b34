import { describe, expect, test } from 'vitest';
import { admit } from '../../src/core/admit.ts';
import { NO_ENDS } from '../../src/core/calendar.ts';
import { UNITS } from '../../src/core/limits.ts';

const { HOUR_MS, DAY_MS } = UNITS;
const NOW = Date.UTC(2026, 6, 1);

function admitted(change: Partial<Parameters<typeof admit>[0]> = {}) {
  return admit({
    usageRequested: 'MULTIPLE',
    endpoint: { id: 'payer-1' },
    hasRefreshToken: true,
    accessExpiresAt: NOW + DAY_MS,
    accessLifetimeMs: DAY_MS,
    ends: NO_ENDS,
    authorizedAt: NOW,
    acceptedAt: NOW,
    cadence: { pullEveryMs: 6 * HOUR_MS, lateAfterMs: DAY_MS },
    ...change,
  });
}

test('MULTIPLE with a refresh token gets a repeating job and no purge', () => {
  expect(admitted()).toEqual({
    usage: 'MULTIPLE',
    usageReason: 'as_requested',
    ends: NO_ENDS,
    periodMs: 6 * HOUR_MS,
    purgeDueAt: null,
    purgeReason: null,
  });
});

test('ONE_TIME gets no repeating job and is purged when its access token ends', () => {
  expect(admitted({ usageRequested: 'ONE_TIME', hasRefreshToken: false, accessExpiresAt: NOW + 3 * HOUR_MS })).toEqual({
    usage: 'ONE_TIME',
    usageReason: 'as_requested',
    ends: NO_ENDS,
    periodMs: null,
    purgeDueAt: NOW + 3 * HOUR_MS,
    purgeReason: 'one_time_expired',
  });
});

test('ONE_TIME with a refresh token stays ONE_TIME: what was asked for bounds what is done', () => {
  expect(admitted({ usageRequested: 'ONE_TIME' })).toMatchObject({ usage: 'ONE_TIME', periodMs: null });
});

test('ONE_TIME data lives 24 h at most, whatever its token says', () => {
  expect(admitted({ usageRequested: 'ONE_TIME', accessExpiresAt: NOW + 30 * DAY_MS }).purgeDueAt).toBe(NOW + DAY_MS);
});

test('ONE_TIME data does not outlive the whole authorization', () => {
  for (const kind of ['maxAuthorization', 'accessGrant', 'consent'] as const) {
    const ends = { ...NO_ENDS, [kind]: NOW + HOUR_MS };
    expect(admitted({ usageRequested: 'ONE_TIME', ends })).toMatchObject({ ends, purgeDueAt: NOW + HOUR_MS });
  }
});

describe('MULTIPLE without a refresh token becomes ONE_TIME, and the reason is kept', () => {
  test.each([
    [true, 'no_refresh_token'],
    [undefined, 'no_refresh_token'],
    [false, 'endpoint_not_refreshable'],
  ])('at an endpoint whose refreshable is %s: %s', (refreshable, usageReason) => {
    const endpoint = { id: 'payer-1', ...(refreshable === undefined ? {} : { refreshable }) };
    expect(admitted({ hasRefreshToken: false, endpoint })).toMatchObject({
      usage: 'ONE_TIME',
      usageReason,
      periodMs: null,
      purgeDueAt: NOW + DAY_MS,
      purgeReason: 'one_time_expired',
    });
  });

  test('the presence of the refresh token decides, not what is said of the endpoint', () => {
    expect(admitted({ endpoint: { id: 'payer-1', refreshable: false } }).usage).toBe('MULTIPLE');
  });
});

describe('the end of the whole authorization', () => {
  const capped = { id: 'payer-1', maxAuthorizationPeriodMs: 30 * DAY_MS };
  test.each([
    ['nobody knows of one', null, { id: 'payer-1' }, null],
    ['the source told it', NOW + 10 * DAY_MS, { id: 'payer-1' }, NOW + 10 * DAY_MS],
    ['the endpoint has a maximum, from when the patient authorized', null, capped, NOW + 25 * DAY_MS],
    ['both: the earlier, told', NOW + 10 * DAY_MS, capped, NOW + 10 * DAY_MS],
    ['both: the earlier, the maximum', NOW + 90 * DAY_MS, capped, NOW + 25 * DAY_MS],
    ['a maximum of 0 is one', null, { id: 'payer-1', maxAuthorizationPeriodMs: 0 }, NOW - 5 * DAY_MS],
  ])('%s', (_, maxAuthorization, endpoint, wanted) => {
    const ends = { ...NO_ENDS, maxAuthorization };
    expect(admitted({ ends, endpoint, authorizedAt: NOW - 5 * DAY_MS }).ends.maxAuthorization).toBe(wanted);
  });
});
