import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nextPullAt, worthOfPull } from '../../src/core/adaptive.ts';
import {
  type ChangeRates,
  emptyTally,
  flatRates,
  HOURS,
  isLearned,
  meanRateOf,
  observe,
  ratesOf,
  remember,
} from '../../src/core/change-profile.ts';
import { UNITS } from '../../src/core/limits.ts';
import { leastLateBy } from '../../src/core/next-run.ts';

const { HOUR_MS, DAY_MS } = UNITS;
const RANGE = { minMs: HOUR_MS, maxMs: 23 * HOUR_MS };
const PULL_EVERY_MS = 6 * HOUR_MS;
const LATE_AFTER_MS = DAY_MS;

const someRates: fc.Arbitrary<ChangeRates> = fc
  .array(fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1, noNaN: true })), { minLength: HOURS, maxLength: HOURS })
  .map((rates) => new Float64Array(rates));
const somePhase = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const someInstant = fc.integer({ min: 0, max: 4_000_000_000_000 });

function plan(rates: ChangeRates, { worth = 0.2, lastPullAt = 0, phase = 0, lateAfterMs = LATE_AFTER_MS } = {}) {
  return nextPullAt({ rates, worth, lastPullAt, phase, lateAfterMs, range: RANGE });
}

/** Pulls of one authorization in a day, in the long run. */
function pullsADay(rates: ChangeRates, worth: number): number {
  const days = 30;
  let at = 0;
  let pulls = 0;
  while (at < days * DAY_MS) {
    at = plan(rates, { worth, lastPullAt: at }).at;
    pulls += 1;
  }
  return pulls / days;
}

describe('the next pull', () => {
  test('is never more often than the range and never later than the range or the promise', () => {
    fc.assert(
      fc.property(
        someRates,
        fc.double({ min: 0, max: 20, noNaN: true }),
        someInstant,
        somePhase,
        fc.integer({ min: 2 * HOUR_MS, max: 3 * DAY_MS }),
        (rates, worth, lastPullAt, phase, lateAfterMs) => {
          const { at, reason } = plan(rates, { worth, lastPullAt, phase, lateAfterMs });
          const inTime = leastLateBy({ freshAsOf: lastPullAt, lateAfterMs });
          expect(at).toBeGreaterThanOrEqual(Math.min(lastPullAt + RANGE.minMs, inTime));
          expect(at).toBeLessThanOrEqual(Math.min(lastPullAt + RANGE.maxMs, inTime));
          expect(['expected_change', 'range_min', 'range_max', 'promise']).toContain(reason);
        },
      ),
    );
  });

  test('comes after exactly the fixed period where changes are as frequent as in the mean and as likely at any hour', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-5, max: 1, noNaN: true }), someInstant, somePhase, (rate, lastPullAt, phase) => {
        const worth = worthOfPull({ meanPerHour: rate, pullEveryMs: PULL_EVERY_MS });
        const { at } = plan(flatRates(rate), { worth, lastPullAt, phase });
        expect(Math.abs(at - lastPullAt - PULL_EVERY_MS)).toBeLessThan(1_000);
      }),
    );
  });

  test.each([
    [4, 3],
    [1 / 4, 12],
    [100, 1],
    [0, 23],
  ])('at %d times the mean rate comes after %d hours', (times, hours) => {
    const worth = worthOfPull({ meanPerHour: 0.01, pullEveryMs: PULL_EVERY_MS });
    expect(plan(flatRates(0.01 * times), { worth }).at / HOUR_MS).toBeCloseTo(hours, 3);
  });

  test('of all authorizations together asks for no more pulls than the fixed cadence', () => {
    fc.assert(
      fc.property(fc.array(someRates, { minLength: 1, maxLength: 8 }), (fleet) => {
        const meanPerHour = fleet.flatMap((rates) => [...rates]).reduce((a, b) => a + b, 0) / (fleet.length * HOURS);
        const worth = worthOfPull({ meanPerHour, pullEveryMs: PULL_EVERY_MS });
        const pulls = fleet.map((rates) => pullsADay(rates, worth)).reduce((a, b) => a + b, 0) / fleet.length;
        // A whole pull at the end of 30 days is counted for each.
        expect(pulls).toBeLessThanOrEqual((DAY_MS / PULL_EVERY_MS) * 1.02);
      }),
      { numRuns: 60 },
    );
  });

  test('after a batch is spread over an hour by phase, and keeps its own place where there is none', () => {
    const batch = new Float64Array(HOURS);
    batch[2] = 0.5;
    const at = (phase: number) => plan(batch, { phase, lastPullAt: 10 * HOUR_MS }).at;
    expect(at(0.5) - at(0)).toBeCloseTo(HOUR_MS / 2, 0);
    const flat = flatRates(0.05);
    expect(plan(flat, { phase: 0.9 }).at).toBe(plan(flat, { phase: 0 }).at);
  });
});

type Learner = typeof observe;
const BATCH_HOUR = 2;
/** Of a hundred patients so many change in a night. */
const SHARE = 0.3;

/** A month of an endpoint with a nightly batch at 02:00 to 02:24, of which the pulls alone tell; how long changes of the last ten days waited, in hours. */
function waitsOfNightlyBatch({
  learn = observe,
  adaptive = true,
}: {
  readonly learn?: Learner;
  readonly adaptive?: boolean;
} = {}) {
  const dice = diceOf(7);
  const patients = Array.from({ length: 100 }, () => ({ phase: dice(), last: 0, next: dice() * PULL_EVERY_MS }));
  const changeOf = (day: number, index: number) =>
    diceOf(day * 1_009 + index)() < SHARE ? (day * 24 + BATCH_HOUR + 0.4 * diceOf(index * 31 + day)()) * HOUR_MS : null;
  let profile = remember({ profile: null, tally: emptyTally(), at: 0 });
  const waits: number[] = [];
  let pulls = 0;
  for (let now = 0; now < 40 * DAY_MS; now += HOUR_MS / 4) {
    const meanPerHour = meanRateOf([profile]);
    const rates = ratesOf({ tally: profile, meanPerHour });
    const worth = worthOfPull({ meanPerHour, pullEveryMs: PULL_EVERY_MS });
    const tally = emptyTally();
    for (const [index, patient] of patients.entries()) {
      if (patient.next > now) continue;
      const changes = [-1, 0]
        .map((back) => changeOf(Math.floor(now / DAY_MS) + back, index))
        .filter((at) => at !== null && at > patient.last && at <= now);
      const [first] = changes;
      if (typeof first === 'number' && now > 30 * DAY_MS) waits.push((now - first) / HOUR_MS);
      if (now > 30 * DAY_MS) pulls += 1;
      if (patient.last > 0) learn({ tally, rates, from: patient.last, to: now, changed: changes.length > 0 });
      patient.last = now;
      patient.next =
        adaptive && isLearned(profile)
          ? plan(rates, { worth, lastPullAt: now, phase: patient.phase }).at
          : now + PULL_EVERY_MS;
    }
    profile = remember({ profile, tally, at: now });
  }
  const sorted = waits.toSorted((a, b) => a - b);
  return {
    mean: waits.reduce((a, b) => a + b, 0) / waits.length,
    p90: sorted[Math.floor(sorted.length * 0.9)] ?? Number.NaN,
    pullsADay: pulls / patients.length / 10,
  };
}

/** A small generator of numbers in [0, 1), the same for the same seed. */
function diceOf(seed: number): () => number {
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 2_246_822_519) + 3_266_489_917) >>> 0;
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32;
  };
}

/** Shares each change evenly over its interval: nothing sharpens. */
const evenly: Learner = ({ tally, from, to, changed }) => observe({ tally, rates: flatRates(0.01), from, to, changed });

describe('a nightly batch', () => {
  test('is found by looks that are hours apart, and pulled within two hours with fewer pulls than before', () => {
    const learned = waitsOfNightlyBatch();
    const fixed = waitsOfNightlyBatch({ adaptive: false });
    expect(learned.p90).toBeLessThan(2);
    expect(learned.mean).toBeLessThan(0.5 * fixed.mean);
    expect(learned.pullsADay).toBeLessThan(fixed.pullsADay);
  });

  test('is not found by who shares changes evenly over the hours', () => {
    expect(waitsOfNightlyBatch({ learn: evenly }).p90).toBeGreaterThan(2);
  });
});

describe('what pulls tell', () => {
  test('is shared among the hours between them, and loses nothing', () => {
    fc.assert(
      fc.property(
        someInstant,
        fc.integer({ min: 1, max: 3 * DAY_MS }),
        fc.double({ min: 1e-4, max: 1, noNaN: true }),
        (from, lengthMs, rate) => {
          const tally = emptyTally();
          observe({ tally, rates: flatRates(rate), from, to: from + lengthMs, changed: true });
          const sum = (values: Float64Array) => values.reduce((a, b) => a + b, 0);
          expect(sum(tally.watchedHours)).toBeCloseTo(lengthMs / HOUR_MS, 6);
          const expected = (rate * lengthMs) / HOUR_MS;
          expect(sum(tally.changes)).toBeCloseTo(expected / -Math.expm1(-expected), 6);
          expect(sum(tally.changes)).toBeGreaterThanOrEqual(1 - 1e-9);
        },
      ),
    );
  });

  test('of intervals that are empty, backwards or longer than three days is nothing', () => {
    const tally = emptyTally();
    for (const to of [0, -1, 3 * DAY_MS + 1]) {
      observe({ tally, rates: flatRates(1), from: 0, to, changed: true });
    }
    expect(tally).toEqual(emptyTally());
  });

  test('fades: after a fade time a third of it counts', () => {
    const tally = { changes: new Float64Array(HOURS).fill(3), watchedHours: new Float64Array(HOURS).fill(30) };
    const profile = remember({ profile: { ...tally, updatedAt: 0 }, tally: emptyTally(), at: 14 * DAY_MS });
    expect(profile.changes[0]).toBeCloseTo(3 / Math.E, 6);
    expect(profile.watchedHours[23]).toBeCloseTo(30 / Math.E, 6);
    const before = remember({ profile, tally: emptyTally(), at: 0 });
    expect(before).toEqual(profile);
  });

  test('of an endpoint that nobody watched are the rates of its network, at each hour', () => {
    const rates = ratesOf({ tally: emptyTally(), meanPerHour: 0.02 });
    for (const rate of rates) expect(rate).toBeCloseTo(0.02, 12);
    expect(isLearned(emptyTally())).toBe(false);
  });

  test('of a week of one patient is enough to plan by', () => {
    const tally = emptyTally();
    for (let at = 0; at < 7 * DAY_MS; at += PULL_EVERY_MS) {
      expect(isLearned(tally)).toBe(false);
      observe({ tally, rates: flatRates(0.01), from: at, to: at + PULL_EVERY_MS, changed: false });
    }
    expect(isLearned(tally)).toBe(true);
  });
});
