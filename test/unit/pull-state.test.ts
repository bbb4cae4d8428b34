import { describe, expect, test } from 'vitest';
import { LIMITS, UNITS } from '../../src/core/limits.ts';
import {
  decidePlan,
  decideRemoval,
  isResumable,
  NO_PULL_YET,
  type PullState,
  stillSuspected,
  type TypeState,
} from '../../src/core/pull-state.ts';

const NOW = Date.UTC(2026, 5, 1);
const WEEK_MS = 7 * UNITS.DAY_MS;
const YESTERDAY = NOW - UNITS.DAY_MS;
const TYPES = ['Patient', 'Coverage', 'Observation'];
const whole: TypeState = { result: 'complete', fullAt: YESTERDAY, knownUntil: YESTERDAY, suspects: null };

function stateOf(differences: Readonly<Record<string, Partial<TypeState>>> = {}): PullState {
  const types = Object.fromEntries(TYPES.map((type) => [type, { ...whole, ...differences[type] }]));
  return { ...NO_PULL_YET, types };
}

function planOf(differences: Partial<Parameters<typeof decidePlan>[0]> = {}): ReturnType<typeof decidePlan> {
  return decidePlan({
    state: stateOf(),
    storedTypes: TYPES,
    pullBy: 'search',
    resourceTypes: TYPES,
    reconcileEveryMs: WEEK_MS,
    abilities: { lastUpdated: TYPES },
    wantsFull: false,
    now: NOW,
    ...differences,
  });
}

const all = TYPES.map((type) => ({ type, since: null }));
const since = YESTERDAY - LIMITS.incrementalOverlapMs;
const changes = TYPES.map((type) => ({ type, since }));
const EVERYTHING = [{ type: null, since: null }];

describe('what a pull by search asks for', () => {
  test('is everything of each type, the first time', () => {
    expect(planOf({ state: NO_PULL_YET, storedTypes: [] })).toEqual({ requests: all, reason: 'first' });
  });

  test('is what has changed since the last pull began, and an hour before it', () => {
    expect(planOf()).toEqual({ requests: changes, reason: 'changes_only' });
    expect(LIMITS.incrementalOverlapMs).toBe(UNITS.HOUR_MS);
  });

  test.each<readonly [string, Partial<TypeState>, string]>([
    ['was not read to its end', { result: 'partial' }, 'last_not_complete'],
    ['was refused', { result: 'refused' }, 'last_not_complete'],
    ['was never whole', { fullAt: null }, 'first'],
    ['has no watermark', { knownUntil: null }, 'first'],
    ['has a watermark of a clock hours ahead', { knownUntil: NOW + UNITS.HOUR_MS }, 'last_in_future'],
    ['has suspects', { suspects: { ids: ['a'], since: YESTERDAY } }, 'suspects'],
    ['was last read whole a week ago', { fullAt: NOW - WEEK_MS }, 'reconciliation'],
  ])('is everything of a type that %s, and changes of the others', (_what, difference, reason) => {
    expect(planOf({ state: stateOf({ Coverage: difference }) })).toEqual({
      requests: changes.map((one) => (one.type === 'Coverage' ? { ...one, since: null } : one)),
      reason,
    });
  });

  test('waits a whole week for the next reconciliation, no millisecond less', () => {
    const week = (ms: number) => planOf({ state: stateOf({ Coverage: { fullAt: NOW - ms } }) }).reason;
    expect(week(WEEK_MS - 1)).toBe('changes_only');
    expect(week(WEEK_MS)).toBe('reconciliation');
  });

  test('is everything where a caller asks for it', () => {
    expect(planOf({ wantsFull: true })).toEqual({ requests: all, reason: 'asked_for' });
  });

  test('is everything of a type whose changes the source cannot tell', () => {
    const abilities = { lastUpdated: ['Patient', 'Observation'] };
    expect(planOf({ abilities }).requests[1]).toEqual({ type: 'Coverage', since: null });
    expect(planOf({ abilities }).requests[0]).toEqual({ type: 'Patient', since });
    expect(planOf({ abilities: null })).toEqual({ requests: all, reason: 'not_searchable' });
  });
});

describe('what a pull of everything in one go asks for', () => {
  const plan = (differences: Partial<Parameters<typeof decidePlan>[0]> = {}) =>
    planOf({ pullBy: 'everything', ...differences });

  test('is changes type by type, where every stored type can be asked so', () => {
    expect(plan()).toEqual({ requests: changes, reason: 'changes_only' });
  });

  test.each<readonly [string, Partial<Parameters<typeof decidePlan>[0]>, string]>([
    ['nothing was pulled yet', { state: NO_PULL_YET, storedTypes: [] }, 'first'],
    ['a stored type cannot', { storedTypes: [...TYPES, 'Binary'] }, 'first'],
    ['one of them is not searchable', { abilities: { lastUpdated: ['Patient'] } }, 'not_searchable'],
    ['the source does not say', { abilities: null }, 'not_searchable'],
    [
      'one of them was last read whole a week ago',
      { state: stateOf({ Patient: { fullAt: NOW - WEEK_MS } }) },
      'reconciliation',
    ],
    ['one of them has suspects', { state: stateOf({ Patient: { suspects: { ids: ['a'], since: 0 } } }) }, 'suspects'],
    ['a caller asks for it', { wantsFull: true }, 'asked_for'],
  ])('is everything where %s', (_what, difference, reason) => {
    expect(plan(difference)).toEqual({ requests: EVERYTHING, reason });
  });
});

describe('a pull that a crash left', () => {
  const running = { id: 'p', startedAt: NOW, plan: [], results: [], next: null, entries: 0, total: 0 };

  test('is gone on with for half a day, and begun anew from then on', () => {
    const resumable = (ms: number) => isResumable({ running, now: NOW + ms });
    expect(resumable(0)).toBe(true);
    expect(resumable(LIMITS.resumePullWithinMs - 1)).toBe(true);
    expect(resumable(LIMITS.resumePullWithinMs)).toBe(false);
    expect(isResumable({ running: null, now: NOW })).toBe(false);
  });
});

describe('resources that a complete pull did not see', () => {
  const ids = (count: number, from = 0) => Array.from({ length: count }, (_, at) => `r${at + from}`);
  const decide = (missing: readonly string[], stored: number, before: readonly string[] | null = null) =>
    decideRemoval({
      missing,
      stored,
      before: before === null ? null : { ids: before, since: YESTERDAY },
      startedAt: NOW,
    });

  test('are removed where they are few: up to a fifth of what is stored', () => {
    expect(decide(ids(20), 100)).toEqual({ remove: ids(20), suspects: null, reason: 'few' });
    expect(decide(ids(1), 5)).toEqual({ remove: ids(1), suspects: null, reason: 'few' });
  });

  test.each([
    ['a little more than a fifth', 21, 100],
    ['one of four', 1, 4],
    ['the whole type', 100, 100],
    ['the only one of its type', 1, 1],
  ])('are held back as suspected where they are %s', (_what, missing, stored) => {
    const suspects = { ids: ids(missing), since: NOW };
    expect(decide(ids(missing), stored)).toEqual({ remove: [], suspects, reason: 'sudden_drop' });
  });

  test('are removed when a second complete pull misses them again, however many', () => {
    expect(decide(ids(100), 100, ids(100))).toEqual({ remove: ids(100), suspects: null, reason: 'seen_twice' });
  });

  test('are no suspects any more once they have come back', () => {
    expect(decide([], 100, ids(100))).toEqual({ remove: [], suspects: null, reason: 'none_missing' });
    expect(decide(ids(10), 100, ids(100))).toEqual({ remove: ids(10), suspects: null, reason: 'seen_twice' });
    // Gone again later, they are a new drop.
    expect(decide(ids(100), 100, null).reason).toBe('sudden_drop');
  });

  test('are removed where suspected before, while those newly gone in numbers are held back', () => {
    expect(decide(ids(60), 100, ids(30))).toEqual({
      remove: ids(30),
      suspects: { ids: ids(30, 30), since: NOW },
      reason: 'sudden_drop',
    });
    expect(decide(ids(31), 100, ids(30))).toEqual({ remove: ids(31), suspects: null, reason: 'few' });
  });
});

describe('a suspicion', () => {
  const isIn =
    (...seen: readonly string[]) =>
    (id: string) =>
      seen.includes(id);
  const suspects = { ids: ['a', 'b'], since: 7 };

  test('loses what was seen again, also by a pull that is not complete', () => {
    expect(stillSuspected({ suspects, isSeen: isIn('a', 'x') })).toEqual({ ids: ['b'], since: 7 });
    expect(stillSuspected({ suspects, isSeen: isIn('a', 'b') })).toBeNull();
  });

  test('stays as it is where nothing of it was seen', () => {
    expect(stillSuspected({ suspects, isSeen: isIn('x') })).toEqual(suspects);
    expect(stillSuspected({ suspects: null, isSeen: isIn('a') })).toBeNull();
  });
});
