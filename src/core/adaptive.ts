import { type ChangeRates, HOURS } from './change-profile.ts';
import type { Instant } from './clock.ts';
import { FRESHNESS_LIMITS } from './freshness-limits.ts';
import { UNITS } from './limits.ts';
import { leastLateBy } from './next-run.ts';

const { HOUR_MS } = UNITS;

/** How seldom and how often an adaptive cadence may pull. */
export type AdaptiveRange = { readonly minMs: number; readonly maxMs: number };

export type PlannedPull = {
  readonly at: Instant;
  /** Enough has probably changed; it may not come sooner; it may not come later; the network's promise wants it before all of these. */
  readonly reason: 'expected_change' | 'range_min' | 'range_max' | 'promise';
};

/**
 * What one pull is worth, in change-hours: changes that wait, times the hours they wait. Worth so much, an endpoint of the network's mean rate is pulled exactly each
 * `pullEveryMs`, a busier one more often and a quieter one less often by the square root of its rate. As the square root is concave, all of them together
 * never ask for more pulls than a fixed cadence would: `pullEveryMs` is the budget.
 */
export function worthOfPull({
  meanPerHour,
  pullEveryMs,
}: {
  readonly meanPerHour: number;
  readonly pullEveryMs: number;
}): number {
  const hours = pullEveryMs / HOUR_MS;
  return (meanPerHour * hours * hours) / 2;
}

/**
 * When the records of an authorization are pulled next: once the changes expected since the last pull have waited for `worth` change-hours, within the range, and in time
 * for the promise. Where that moment comes at the same time for many (a nightly batch), their phases spread them over {@link FRESHNESS_LIMITS.adaptiveSpreadMs}.
 * Pure arithmetic over the hours until then; a simulation calls it some hundred million times.
 */
export function nextPullAt({
  rates,
  worth,
  lastPullAt,
  range: { minMs, maxMs },
  lateAfterMs,
  phase,
}: {
  readonly rates: ChangeRates;
  readonly worth: number;
  readonly lastPullAt: Instant;
  readonly range: AdaptiveRange;
  readonly lateAfterMs: number;
  readonly phase: number;
}): PlannedPull {
  const latest = lastPullAt + maxMs;
  const inTime = leastLateBy({ freshAsOf: lastPullAt, lateAfterMs });
  const wanted = wantedAt({ rates, worth, from: lastPullAt, until: Math.min(latest, inTime), phase });
  if (wanted < lastPullAt + minMs && lastPullAt + minMs < inTime)
    return { at: lastPullAt + minMs, reason: 'range_min' };
  if (wanted < Math.min(latest, inTime)) return { at: wanted, reason: 'expected_change' };
  return latest <= inTime ? { at: latest, reason: 'range_max' } : { at: inTime, reason: 'promise' };
}

/** When the staleness to expect has reached `worth`, spread by phase; `until` at the latest. */
function wantedAt({
  rates,
  worth,
  from,
  until,
  phase,
}: {
  readonly rates: ChangeRates;
  readonly worth: number;
  readonly from: Instant;
  readonly until: Instant;
  readonly phase: number;
}): Instant {
  const start = from / HOUR_MS;
  const end = until / HOUR_MS;
  /** Changes expected by then, and the change-hours that they have waited. */
  let waiting = 0;
  let waited = 0;
  for (let hour = Math.floor(start); hour < end; hour += 1) {
    const since = Math.max(start, hour);
    const hours = hour + 1 - since;
    const rate = rates[hour % HOURS] ?? 0;
    const more = hours * (waiting + (rate * hours) / 2);
    if (waited + more >= worth) {
      const missing = worth - waited;
      const waitingThen = Math.sqrt(waiting * waiting + 2 * rate * missing);
      const reached = since + (missing === 0 ? 0 : (2 * missing) / (waiting + waitingThen));
      const first = rates[Math.floor(start) % HOURS] ?? 0;
      const drawn = herding({ first, hours: reached - start, waiting: waitingThen });
      return Math.min(until, reached * HOUR_MS + phase * FRESHNESS_LIMITS.adaptiveSpreadMs * drawn);
    }
    waited += more;
    waiting += rate * hours;
  }
  return until;
}

/**
 * How much two authorizations that were pulled apart are drawn together by planning like this: 1 minus how far the plan moves when the last pull moves. 0 at a constant
 * rate, where each keeps its own place; 1 after a batch, which has all of them wait for the same moment.
 */
function herding({
  first,
  hours,
  waiting,
}: {
  readonly first: number;
  readonly hours: number;
  readonly waiting: number;
}): number {
  return waiting === 0 ? 0 : Math.max(0, 1 - (first * hours) / waiting);
}
