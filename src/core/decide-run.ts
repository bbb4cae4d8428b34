import type { Instant } from './clock.ts';
import { LIMITS } from './limits.ts';

export type RunDecision =
  | { readonly kind: 'run'; readonly reason: 'due' | 'asked_for' | 'unplanned' | 'implausible_plan' }
  | { readonly kind: 'not_yet'; readonly reason: 'planned_later'; readonly until: Instant };

/**
 * Whether a job that the queue has woken runs now. The store's plan decides: a Redis restored from yesterday, a job that stands twice, or a plan that has
 * moved since make jobs come early, and all of those wait for the plan. A plan further away than a period was made by a clock that is wrong, and is not believed.
 */
export function decideRun({
  nextRunAt,
  periodMs,
  askedFor,
  now,
}: {
  readonly nextRunAt: Instant | null;
  readonly periodMs: number;
  readonly askedFor: boolean;
  readonly now: Instant;
}): RunDecision {
  if (askedFor) return { kind: 'run', reason: 'asked_for' };
  if (nextRunAt === null) return { kind: 'run', reason: 'unplanned' };
  const earlyMs = nextRunAt - now;
  if (earlyMs <= LIMITS.runEarlyMaxMs) return { kind: 'run', reason: 'due' };
  if (earlyMs > periodMs + LIMITS.clockSkewMaxMs) return { kind: 'run', reason: 'implausible_plan' };
  return { kind: 'not_yet', reason: 'planned_later', until: nextRunAt };
}
