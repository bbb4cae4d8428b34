import type { Instant } from './clock.ts';
import { FRESHNESS_LIMITS } from './freshness-limits.ts';
import { UNITS } from './limits.ts';

/** Hours of the day (UTC) in which changes are counted: payers load their data in nightly batches, and an hour tells one from the next. */
export const HOURS = 24;
const { HOUR_MS } = UNITS;

/** What pulls have seen of an endpoint, by hour of the day: changes, and the authorization-hours in which they could have been seen. Counts only. */
export type Tally = { readonly changes: Float64Array; readonly watchedHours: Float64Array };

/** A tally over time, in which what is long ago counts less. */
export type ChangeProfile = Tally & { readonly updatedAt: Instant };

/** Expected changes of one authorization per hour, by hour of the day. */
export type ChangeRates = Float64Array;

/** A tally of nothing. */
export function emptyTally(): Tally {
  return { changes: new Float64Array(HOURS), watchedHours: new Float64Array(HOURS) };
}

/** Rates that are the same all day. */
export function flatRates(perHour: number): ChangeRates {
  return new Float64Array(HOURS).fill(perHour);
}

/**
 * Adds to `tally` what one pull tells: between the last pull (`from`) and this one (`to`) the records have changed, or not. When in between, nobody saw:
 * the change is shared among the hours as `rates` expect it (one step of expectation maximization), so that many hour-wide looks make one sharp
 * picture. That several changes hide behind one look is allowed for by the mean of a Poisson count that is not zero.
 */
export function observe({
  tally: { changes, watchedHours },
  rates,
  from,
  to,
  changed,
}: {
  readonly tally: Tally;
  readonly rates: ChangeRates;
  readonly from: Instant;
  readonly to: Instant;
  readonly changed: boolean;
}): void {
  if (!(to > from) || to - from > FRESHNESS_LIMITS.observedMaxMs) return;
  const last = Math.floor(to / HOUR_MS);
  let expected = 0;
  for (let at = Math.floor(from / HOUR_MS); at <= last; at += 1) {
    const hours = Math.min(to / HOUR_MS, at + 1) - Math.max(from / HOUR_MS, at);
    const hour = at % HOURS;
    watchedHours[hour] = (watchedHours[hour] ?? 0) + hours;
    expected += (rates[hour] ?? 0) * hours;
  }
  if (!changed || expected <= 0) return;
  const each = 1 / -Math.expm1(-expected);
  for (let at = Math.floor(from / HOUR_MS); at <= last; at += 1) {
    const hours = Math.min(to / HOUR_MS, at + 1) - Math.max(from / HOUR_MS, at);
    const hour = at % HOURS;
    changes[hour] = (changes[hour] ?? 0) + (rates[hour] ?? 0) * hours * each;
  }
}

/** The profile with a new tally; what it held before has faded since. */
export function remember({
  profile,
  tally,
  at,
}: {
  readonly profile: ChangeProfile | null;
  readonly tally: Tally;
  readonly at: Instant;
}): ChangeProfile {
  if (profile === null) return { ...tally, updatedAt: at };
  const kept = Math.exp(-Math.max(0, at - profile.updatedAt) / FRESHNESS_LIMITS.changesFadeMs);
  const sum = (before: Float64Array, added: Float64Array) =>
    before.map((value, hour) => value * kept + (added[hour] ?? 0));
  return {
    changes: sum(profile.changes, tally.changes),
    watchedHours: sum(profile.watchedHours, tally.watchedHours),
    updatedAt: Math.max(at, profile.updatedAt),
  };
}

/** Changes per authorization and hour over all of these endpoints, each weighted by how much it was watched; the mean of a network. */
export function meanRateOf(tallies: Iterable<Tally>): number {
  let changes = FRESHNESS_LIMITS.changesOfPrior;
  let watchedHours = FRESHNESS_LIMITS.changesOfPrior / FRESHNESS_LIMITS.changeRatePriorPerHour;
  for (const tally of tallies) {
    changes += sumOf(tally.changes);
    watchedHours += sumOf(tally.watchedHours);
  }
  return changes / watchedHours;
}

/**
 * The rates that a tally makes likely. With little seen they are the network's mean, spread evenly over the day; as more is seen, first the endpoint's own mean
 * comes out, and then its hours.
 */
export function ratesOf({ tally, meanPerHour }: { readonly tally: Tally; readonly meanPerHour: number }): ChangeRates {
  const own = shrunk({
    changes: sumOf(tally.changes),
    hours: sumOf(tally.watchedHours),
    towards: meanPerHour,
    by: FRESHNESS_LIMITS.changesOfPrior,
  });
  return tally.changes.map((changes, hour) =>
    shrunk({ changes, hours: tally.watchedHours[hour] ?? 0, towards: own, by: FRESHNESS_LIMITS.changesOfHourPrior }),
  );
}

/** Whether each hour of the day was watched for long enough to plan by it. */
export function isLearned({ watchedHours }: Tally): boolean {
  return watchedHours.every((hours) => hours >= FRESHNESS_LIMITS.learnedAfterHours);
}

/** A rate seen, drawn towards one expected as if `by` changes had been seen at that. */
function shrunk({
  changes,
  hours,
  towards,
  by,
}: {
  readonly changes: number;
  readonly hours: number;
  readonly towards: number;
  readonly by: number;
}): number {
  return Math.min(FRESHNESS_LIMITS.changeRateMaxPerHour, (changes + by) / (hours + by / towards));
}

function sumOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}
