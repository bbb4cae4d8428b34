import { describe, expect, test } from 'vitest';
import { endsAfterFetch, isReadable } from '../../src/core/authorization.ts';
import { UNITS } from '../../src/core/limits.ts';
import { retentionOfDead, retentionOfLiving } from '../../src/core/retention.ts';

const { DAY_MS, HOUR_MS } = UNITS;
const NOW = Date.UTC(2026, 6, 1);
const NONE = { purgeDueAt: null, purgeReason: null } as const;
const ONCE = { purgeDueAt: NOW + DAY_MS, purgeReason: 'one_time_expired' } as const;

describe('the retention rule', () => {
  const dead = (
    authorization: Parameters<typeof retentionOfDead>[0]['authorization'],
    purgeDeadAfterMs: number | null,
  ) => retentionOfDead({ authorization, purgeDeadAfterMs, now: NOW });

  test('keep: a dead authorization gets no deadline, and one that it has stays', () => {
    expect(dead(NONE, null)).toEqual(NONE);
    expect(dead(ONCE, null)).toEqual(ONCE);
  });

  test('purge after N days: the deadline is written with the end, and counts from it', () => {
    expect(dead(NONE, 30 * DAY_MS)).toEqual({ purgeDueAt: NOW + 30 * DAY_MS, purgeReason: 'retention' });
  });

  test('it shortens the life of ONE_TIME data and never lengthens it', () => {
    expect(dead(ONCE, 30 * DAY_MS)).toEqual(ONCE);
    expect(dead(ONCE, HOUR_MS)).toEqual({ purgeDueAt: NOW + HOUR_MS, purgeReason: 'retention' });
  });

  test('a life that goes on loses the deadline of the dead, and no other', () => {
    expect(retentionOfLiving({ purgeDueAt: NOW, purgeReason: 'retention' })).toEqual(NONE);
    expect(retentionOfLiving(ONCE)).toEqual(ONCE);
  });

  test('from its deadline on, what waits for its patient is not readable, be the purge late or not', () => {
    const waiting = { state: 'needs_reauthorization', purgeDueAt: NOW } as const;
    expect(isReadable(waiting, NOW - 1)).toBe(true);
    expect(isReadable(waiting, NOW)).toBe(false);
  });
});

describe('the end at the source', () => {
  const once = { usage: 'ONE_TIME', atEnd: 'revoke', upstreamEnd: null } as const;

  test('a ONE_TIME authorization that asks for it is ended after its fetch, once', () => {
    expect(endsAfterFetch(once)).toBe(true);
    expect(endsAfterFetch({ ...once, atEnd: 'expunge' })).toBe(true);
    expect(endsAfterFetch({ ...once, upstreamEnd: 'revoked' })).toBe(false);
  });

  test('one that does not ask, or that is refreshed, is left alone until its purge', () => {
    expect(endsAfterFetch({ ...once, atEnd: null })).toBe(false);
    expect(endsAfterFetch({ ...once, atEnd: 'nothing' })).toBe(false);
    expect(endsAfterFetch({ ...once, usage: 'MULTIPLE' })).toBe(false);
  });
});
