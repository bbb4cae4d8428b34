import { describe, expect, test } from 'vitest';
import { STATES } from '../../src/core/authorization.ts';
import { decidePull } from '../../src/core/decide-pull.ts';
import { UNITS } from '../../src/core/limits.ts';

const { HOUR_MS } = UNITS;
const NOW = Date.UTC(2026, 6, 1);
type Case = Parameters<typeof decidePull>[0];
type Change = Partial<Omit<Case, 'authorization'>> & { readonly authorization?: Partial<Case['authorization']> };

const pulled = (hoursAgo: number, result: 'complete' | 'partial' | 'failed' = 'complete') => ({
  at: NOW - hoursAgo * HOUR_MS,
  result,
  durationMs: 1,
});

/** An adaptive plan for so many hours from now, of a range from so many hours on. */
const plan = (hours: number, minHours = 1) => ({ nextPullAt: NOW + hours * HOUR_MS, minMs: minHours * HOUR_MS });

/** A network of 6 h whose last pull was complete an hour ago; the next run comes in an hour. */
function decide({ authorization, ...rest }: Change = {}) {
  return decidePull({
    cadence: { pullEveryMs: 6 * HOUR_MS, lateAfterMs: 24 * HOUR_MS },
    askedFor: false,
    nextRunAt: NOW + HOUR_MS,
    now: NOW,
    authorization: {
      state: 'active',
      usage: 'MULTIPLE',
      fetchedAt: null,
      lastPull: pulled(1),
      purgeDueAt: null,
      ...authorization,
    },
    ...rest,
  });
}

describe('every branch', () => {
  const once = { usage: 'ONE_TIME', lastPull: null, purgeDueAt: NOW + HOUR_MS } as const;
  const rows: readonly [string, Change, string, string][] = [
    ['the next run still comes in time', {}, 'skip', 'not_due'],
    ['the next run comes at the last moment', { nextRunAt: NOW + 5 * HOUR_MS }, 'skip', 'not_due'],
    ['the next run comes a millisecond too late', { nextRunAt: NOW + 5 * HOUR_MS + 1 }, 'pull', 'due'],
    ['nobody knows of a next run', { nextRunAt: null }, 'pull', 'due'],
    ['nothing was pulled yet', { authorization: { lastPull: null } }, 'pull', 'first'],
    ['somebody asks for it', { askedFor: true }, 'pull', 'asked_for'],
    ['the last pull was partial', { authorization: { lastPull: pulled(1, 'partial') } }, 'pull', 'last_not_complete'],
    ['the last pull failed', { authorization: { lastPull: pulled(1, 'failed') } }, 'pull', 'last_not_complete'],
    [
      'the last pull was dated by a clock hours ahead',
      { authorization: { lastPull: pulled(-3) } },
      'pull',
      'last_in_future',
    ],
    [
      'the last pull was dated by a clock minutes ahead',
      { authorization: { lastPull: pulled(-0.05) } },
      'skip',
      'not_due',
    ],
    ['its source has told of news since', { toldAt: NOW - 1 }, 'pull', 'told'],
    ['its source told of news before', { toldAt: NOW - HOUR_MS - 1 }, 'skip', 'not_due'],
    ['an adaptive plan lies ahead, whatever the next run', { adaptive: plan(1), nextRunAt: null }, 'skip', 'not_due'],
    ['an adaptive plan has come', { adaptive: plan(0) }, 'pull', 'expected_change'],
    ['an adaptive plan comes in a quarter of an hour', { adaptive: plan(0.25) }, 'pull', 'expected_change'],
    ['an adaptive plan is so near, but the range is not over', { adaptive: plan(0.25, 2) }, 'skip', 'not_due'],
    [
      'an adaptive plan lies behind the promise',
      { adaptive: plan(5), authorization: { lastPull: pulled(23) } },
      'pull',
      'expected_change',
    ],
    ['the one fetch of ONE_TIME', { authorization: once }, 'pull', 'first'],
    ['ONE_TIME once fetched', { authorization: { ...once, fetchedAt: NOW } }, 'skip', 'already_fetched'],
    [
      'ONE_TIME once fetched, even if asked for',
      { authorization: { ...once, fetchedAt: NOW }, askedFor: true },
      'skip',
      'already_fetched',
    ],
    ['at the purge deadline', { authorization: { ...once, purgeDueAt: NOW } }, 'skip', 'past_purge_deadline'],
    [
      'past the purge deadline of a MULTIPLE one, even if asked for',
      { authorization: { purgeDueAt: NOW - 1 }, askedFor: true },
      'skip',
      'past_purge_deadline',
    ],
  ];

  test.each(rows)('%s', (_, change, kind, reason) => {
    expect(decide(change)).toEqual({ kind, reason });
  });

  test.each(STATES.filter((state) => state !== 'active'))('nothing is pulled for one that is %s', (state) => {
    expect(decide({ authorization: { state, lastPull: null }, askedFor: true })).toEqual({
      kind: 'skip',
      reason: 'not_active',
    });
  });
});
