import fc from 'fast-check';
import { expect, test } from 'vitest';
import { leadMs, nextSlot, periodOf } from '../../src/core/cadence.ts';
import { NO_ENDS } from '../../src/core/calendar.ts';
import { decidePull, type PullDecision } from '../../src/core/decide-pull.ts';
import { decideRefresh } from '../../src/core/decide-refresh.ts';
import { LIMITS, UNITS } from '../../src/core/limits.ts';

const { HOUR_MS, MINUTE_MS, DAY_MS } = UNITS;
/** How late a run may start in these simulations. */
const LATE_MAX_MS = 30_000;
const RUNS = 300;

type Schedule = {
  readonly periodMs: number;
  readonly pullEveryMs: number;
  readonly phaseMs: number;
  readonly acceptedAt: number;
  readonly lateness: readonly number[];
};

type Rule = (value: {
  readonly lastPullAt: number | null;
  readonly pullEveryMs: number;
  readonly periodMs: number;
  readonly nextRunAt: number;
  readonly now: number;
}) => PullDecision['kind'];

const ourRule: Rule = ({ lastPullAt, pullEveryMs, nextRunAt, now }) =>
  decidePull({
    authorization: {
      state: 'active',
      usage: 'MULTIPLE',
      fetchedAt: null,
      lastPull: lastPullAt === null ? null : { at: lastPullAt, result: 'complete', durationMs: 0 },
      purgeDueAt: null,
    },
    cadence: { pullEveryMs, lateAfterMs: DAY_MS },
    askedFor: false,
    nextRunAt,
    now,
  }).kind;

/** What looks right at first: pull when the records are nearly a period old. */
const naiveRule: Rule = ({ lastPullAt, pullEveryMs, now }) =>
  lastPullAt === null || now - lastPullAt >= 0.9 * pullEveryMs ? 'pull' : 'skip';

/** The first pull at acceptance, then ten runs at their slots, each a little late: the greatest age that the records reach. */
function greatestAge(rule: Rule, { periodMs, pullEveryMs, phaseMs, acceptedAt, lateness }: Schedule): number {
  let lastPullAt: number | null = null;
  let now = acceptedAt;
  let greatest = 0;
  for (const late of [0, ...lateness]) {
    now += late;
    const nextRunAt = nextSlot({ now, periodMs, phaseMs });
    if (lastPullAt !== null) greatest = Math.max(greatest, now - lastPullAt);
    if (rule({ lastPullAt, pullEveryMs, periodMs, nextRunAt, now }) === 'pull') lastPullAt = now;
    now = nextRunAt;
  }
  return greatest;
}

const schedules: fc.Arbitrary<Schedule> = fc
  .record({
    pullMinutes: fc.integer({ min: 2, max: 47 * 60 }),
    share: fc.double({ min: 0.01, max: 1, noNaN: true }),
    phase: fc.double({ min: 0, max: 0.999_999, noNaN: true }),
    acceptedAt: fc.integer({ min: 1_700_000_000_000, max: 1_900_000_000_000 }),
    lateness: fc.array(fc.integer({ min: 0, max: LATE_MAX_MS }), { minLength: 10, maxLength: 10 }),
  })
  .map(({ pullMinutes, share, phase, acceptedAt, lateness }) => {
    const pullEveryMs = pullMinutes * MINUTE_MS;
    const periodMs = Math.max(MINUTE_MS, Math.floor((pullEveryMs * share) / MINUTE_MS) * MINUTE_MS);
    return { pullEveryMs, periodMs, phaseMs: Math.floor(phase * periodMs), acceptedAt, lateness };
  });

const kept = (rule: Rule, schedule: Schedule) => greatestAge(rule, schedule) <= schedule.pullEveryMs + LATE_MAX_MS;

test('records never grow older than one pull period and the lateness of one run, from the first slot after acceptance on', () => {
  fc.assert(
    fc.property(schedules, (schedule) => {
      expect(greatestAge(ourRule, schedule)).toBeLessThanOrEqual(schedule.pullEveryMs + LATE_MAX_MS);
    }),
    { numRuns: RUNS },
  );
});

test('control: "due when 90 % of the period is over" lets records grow nearly two periods old', () => {
  const found = fc.check(
    fc.property(schedules, (schedule) => {
      expect(kept(naiveRule, schedule)).toBe(true);
    }),
    { numRuns: RUNS },
  );
  expect(found.failed).toBe(true);
  const day = { periodMs: 23 * HOUR_MS, pullEveryMs: 23 * HOUR_MS, lateness: new Array<number>(10).fill(0) };
  const worst = { ...day, phaseMs: 20 * HOUR_MS, acceptedAt: 23 * HOUR_MS * 80_000 };
  expect(greatestAge(naiveRule, worst)).toBeGreaterThan(40 * HOUR_MS);
  expect(greatestAge(ourRule, worst)).toBeLessThanOrEqual(23 * HOUR_MS);
});

type TokenLife = {
  readonly lifetimeMs: number;
  readonly pullEveryMs: number;
  readonly phase: number;
  readonly start: number;
};
type Decide = typeof decideRefresh;

const lives: fc.Arbitrary<TokenLife> = fc.record({
  // From the shortest lifetime whose lead and period both fit: 90 s.
  lifetimeMs: fc.double({ min: 90_000, max: 40 * DAY_MS, noNaN: true }),
  pullEveryMs: fc.integer({ min: LIMITS.periodMinMs, max: LIMITS.periodMaxMs }),
  phase: fc.double({ min: 0, max: 0.999_999, noNaN: true }),
  start: fc.integer({ min: 1_700_000_000_000, max: 1_900_000_000_000 }),
});

/** Twelve runs from acceptance on; whether the token that each run leaves behind still lives at the start of the next. */
function alwaysAlive(decide: Decide, { lifetimeMs, pullEveryMs, phase, start }: TokenLife): boolean {
  const periodMs = periodOf({ cadence: { pullEveryMs, lateAfterMs: 0 }, accessLifetimeMs: lifetimeMs });
  const phaseMs = Math.floor(phase * periodMs);
  let now = start;
  let accessExpiresAt = start + lifetimeMs;
  for (let run = 0; run < 12; run += 1) {
    if (now > accessExpiresAt) return false;
    const nextRunAt = nextSlot({ now, periodMs, phaseMs });
    const decision = decide({
      tokens: {
        version: 1,
        hasRefreshToken: true,
        accessExpiresAt,
        accessLifetimeMs: lifetimeMs,
        refreshExpiresAt: null,
      },
      attempt: 'none',
      trouble: null,
      rejected: false,
      doubtedVersion: null,
      neededUntil: nextRunAt,
      ends: NO_ENDS,
      now,
    });
    if (decision.kind === 'refresh') accessExpiresAt = now + lifetimeMs;
    else if (decision.kind !== 'use') return false;
    now = nextRunAt;
  }
  return true;
}

test('the access token never ends before the next run while a refresh token exists', () => {
  fc.assert(
    fc.property(lives, (life) => {
      expect(alwaysAlive(decideRefresh, life)).toBe(true);
    }),
    { numRuns: RUNS },
  );
});

test('control: refreshing only what has expired lets tokens end between runs', () => {
  const onlyExpired: Decide = (value) =>
    value.now >= value.tokens.accessExpiresAt
      ? { kind: 'refresh', reason: 'expired' }
      : { kind: 'use', reason: 'valid_long_enough' };
  const found = fc.check(
    fc.property(lives, (life) => {
      expect(alwaysAlive(onlyExpired, life)).toBe(true);
    }),
    { numRuns: RUNS },
  );
  expect(found.failed).toBe(true);
});

test('a period leaves the lead before the end of every token that lives 90 s or longer, and is a whole number of minutes', () => {
  fc.assert(
    fc.property(lives, ({ lifetimeMs, pullEveryMs }) => {
      const periodMs = periodOf({ cadence: { pullEveryMs, lateAfterMs: 0 }, accessLifetimeMs: lifetimeMs });
      expect(periodMs % MINUTE_MS).toBe(0);
      expect(periodMs).toBeGreaterThanOrEqual(LIMITS.periodMinMs);
      expect(periodMs + leadMs(lifetimeMs) - LIMITS.lifetimeSlackMs).toBeLessThanOrEqual(lifetimeMs);
      expect(periodMs).toBeLessThan(lifetimeMs);
      expect(periodMs).toBeLessThanOrEqual(Math.max(pullEveryMs, LIMITS.periodMinMs));
    }),
    { numRuns: RUNS },
  );
});

test('the next slot is strictly later, less than or exactly one period away, and at the phase', () => {
  const cases = fc.record({
    now: fc.integer({ min: 0, max: 2_000_000_000_000 }),
    periodMs: fc.integer({ min: 1, max: LIMITS.periodMaxMs }),
    share: fc.double({ min: 0, max: 0.999_999, noNaN: true }),
  });
  fc.assert(
    fc.property(cases, ({ now, periodMs, share }) => {
      const phaseMs = Math.floor(share * periodMs);
      const slot = nextSlot({ now, periodMs, phaseMs });
      expect(slot).toBeGreaterThan(now);
      expect(slot - now).toBeLessThanOrEqual(periodMs);
      expect((slot - phaseMs) % periodMs).toBe(0);
      // BullMQ's own arithmetic for a new scheduler with an offset (addJobScheduler.lua).
      const aligned = Math.floor(now / periodMs) * periodMs + phaseMs;
      expect(slot).toBe(aligned <= now ? aligned + periodMs : aligned);
    }),
  );
});
