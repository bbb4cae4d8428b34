import type { Authorization } from './authorization.ts';
import type { Cadence } from './cadence.ts';
import type { Instant } from './clock.ts';
import { FRESHNESS_LIMITS } from './freshness-limits.ts';
import { LIMITS } from './limits.ts';
import { leastLateBy } from './next-run.ts';

export type PullDecision =
  | {
      readonly kind: 'pull';
      readonly reason:
        | 'first'
        | 'due'
        | 'last_not_complete'
        | 'last_in_future'
        | 'asked_for'
        | 'told'
        | 'expected_change';
    }
  | { readonly kind: 'skip'; readonly reason: 'not_due' | 'not_active' | 'already_fetched' | 'past_purge_deadline' };

/** A plan that an adaptive cadence has made (core/adaptive.ts). */
export type AdaptivePlan = { readonly nextPullAt: Instant; readonly minMs: number };

/**
 * Whether this run pulls the records, or only keeps the token alive (short-lived tokens make runs that are no pulls). A pull is left out only
 * if the next run still comes within the period: the first slot after an acceptance may come soon after the first pull, and leaving it
 * out there would make the records nearly two periods old. Where the cadence adapts, its plan decides, and the slots in between keep tokens alive.
 */
export function decidePull({
  authorization,
  cadence,
  askedFor,
  nextRunAt,
  adaptive = null,
  toldAt = null,
  now,
}: {
  readonly authorization: Pick<Authorization, 'state' | 'usage' | 'fetchedAt' | 'lastPull' | 'purgeDueAt'>;
  readonly cadence: Cadence;
  readonly askedFor: boolean;
  readonly nextRunAt: Instant | null;
  readonly adaptive?: AdaptivePlan | null;
  /** When the source last said that it has something new. */
  readonly toldAt?: Instant | null;
  readonly now: Instant;
}): PullDecision {
  const { state, usage, fetchedAt, lastPull, purgeDueAt } = authorization;
  if (state !== 'active') return { kind: 'skip', reason: 'not_active' };
  if (purgeDueAt !== null && now >= purgeDueAt) return { kind: 'skip', reason: 'past_purge_deadline' };
  if (usage === 'ONE_TIME' && fetchedAt !== null) return { kind: 'skip', reason: 'already_fetched' };
  if (lastPull === null) return { kind: 'pull', reason: 'first' };
  if (askedFor) return { kind: 'pull', reason: 'asked_for' };
  if (lastPull.result !== 'complete') return { kind: 'pull', reason: 'last_not_complete' };
  // It was dated by a clock ahead of ours, and would keep the records waiting for as long as that is ahead.
  if (lastPull.at > now + LIMITS.clockSkewMaxMs) return { kind: 'pull', reason: 'last_in_future' };
  if (isNews({ toldAt, pulledAt: lastPull.at })) return { kind: 'pull', reason: 'told' };
  if (adaptive !== null) {
    const due = now >= pullFrom({ adaptive, cadence, pulledAt: lastPull.at });
    return due ? { kind: 'pull', reason: 'expected_change' } : { kind: 'skip', reason: 'not_due' };
  }
  const nextInTime = nextRunAt !== null && nextRunAt <= lastPull.at + cadence.pullEveryMs;
  return nextInTime ? { kind: 'skip', reason: 'not_due' } : { kind: 'pull', reason: 'due' };
}

/** Whether the source has said something since the last pull began. */
export function isNews({
  toldAt,
  pulledAt,
}: {
  readonly toldAt: Instant | null;
  readonly pulledAt: Instant | null;
}): boolean {
  return toldAt !== null && (pulledAt === null || toldAt > pulledAt);
}

/** A run that comes a little before the plan does its pull, so that no second run has to follow; but never more often than the range allows. */
function pullFrom({
  adaptive: { nextPullAt, minMs },
  cadence: { pullEveryMs, lateAfterMs },
  pulledAt,
}: {
  readonly adaptive: AdaptivePlan;
  readonly cadence: Cadence;
  readonly pulledAt: Instant;
}): Instant {
  const by = Math.min(nextPullAt, leastLateBy({ freshAsOf: pulledAt, lateAfterMs }));
  const early = Math.max(by - pullEveryMs * FRESHNESS_LIMITS.adaptiveEarlyShare, pulledAt + minMs);
  return Math.min(by, early);
}
