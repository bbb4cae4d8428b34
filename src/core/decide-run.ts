import type { Instant } from './clock.ts';
import { LIMITS } from './limits.ts';

export type RunDecision =
  | { readonly kind: 'run'; readonly reason: 'due' | 'asked_for' | 'unplanned' | 'implausible_plan' }
  | { readonly kind: 'not_yet'; readonly reason: 'planned_later'; readonly until: Instant };

/**
 * Whether a job that the queue has woken runs now. The store's plan decides: a Redis restored from yesterday, a job that stands twice, or a plan that has
 * moved since make jobs come early, and all of those wait for the plan. A plan behind the next slot of the repeating job was made by a clock that is wrong,
 * and is not believed: no authorization waits for longer than its period.
 */
export function decideRun({
  nextRunAt,
  slot,
  askedFor,
  now,
}: {
  readonly nextRunAt: Instant | null;
  /** The next slot of the repeating job. */
  readonly slot: Instant;
  readonly askedFor: boolean;
  readonly now: Instant;
}): RunDecision {
  if (askedFor) return { kind: 'run', reason: 'asked_for' };
  if (nextRunAt === null) return { kind: 'run', reason: 'unplanned' };
  if (nextRunAt - now <= LIMITS.runEarlyMaxMs) return { kind: 'run', reason: 'due' };
  if (nextRunAt - slot > LIMITS.runEarlyMaxMs) return { kind: 'run', reason: 'implausible_plan' };
  return { kind: 'not_yet', reason: 'planned_later', until: nextRunAt };
}
