import type { Instant } from './clock.ts';
import { LIMITS } from './limits.ts';

export type NextRun = {
  readonly at: Instant;
  /** The repeating job comes by itself at its slot; anything earlier needs a job of its own. */
  readonly by: 'slot' | 'own_job';
};

/** When records that are as of `freshAsOf` are pulled again at the latest, so that the pull ends before they are late. */
export function leastLateBy({
  freshAsOf,
  lateAfterMs,
}: {
  readonly freshAsOf: Instant;
  readonly lateAfterMs: number;
}): Instant {
  return freshAsOf + lateAfterMs - Math.min(LIMITS.pullLeadMs, lateAfterMs / 24);
}

/**
 * When an authorization runs next: at the slot of its repeating job, or earlier where its records would be late by then (a period that was made longer moves
 * its slots) or where its endpoint is expected to have changed (`nextPullAt`).
 */
export function nextRunOf({
  slot,
  nextPullAt,
  freshAsOf,
  lateAfterMs,
  now,
}: {
  readonly slot: Instant;
  readonly nextPullAt: Instant | null;
  readonly freshAsOf: Instant | null;
  readonly lateAfterMs: number;
  readonly now: Instant;
}): NextRun {
  const inTime = freshAsOf === null ? slot : leastLateBy({ freshAsOf, lateAfterMs });
  // What has passed is no plan: this run has just done what it could, and its retry has a wait of its own.
  const ahead = [nextPullAt ?? slot, inTime].filter((at) => at > now + LIMITS.runEarlyMaxMs);
  const at = Math.min(slot, ...ahead);
  return at < slot ? { at, by: 'own_job' } : { at: slot, by: 'slot' };
}
