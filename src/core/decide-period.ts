import { type Cadence, leadMs, nextSlot, periodOf, phaseOf } from './cadence.ts';
import type { Instant } from './clock.ts';
import type { TokenFacts } from './decide-refresh.ts';
import { LIMITS } from './limits.ts';
import { leastLateBy, type NextRun, nextRunOf } from './next-run.ts';
import { spreadOf } from './spread.ts';

/** What is known of a standing authorization's place in time without opening anything. */
export type Standing = {
  readonly id: string;
  readonly periodMs: number;
  readonly phase: number;
  readonly nextRunAt: Instant | null;
  readonly nextPullAt: Instant | null;
  readonly freshAsOf: Instant | null;
};

export type PeriodDecision =
  | { readonly kind: 'keep'; readonly reason: 'same_period' }
  | { readonly kind: 'move'; readonly reason: 'cadence_changed'; readonly periodMs: number; readonly next: NextRun };

/**
 * Whether a standing authorization has the period that the cadence table gives it now, and where its next run goes if not: to the next slot of the new period.
 * All of them moved at once lie in the new period as evenly as their phases do; each moved at its own next run would come where others still run by the old
 * period (measured: 1.4 times the load for some hours). Earlier than the slot where the records would be late or the access token would be used up by then.
 */
export function decidePeriod({
  standing: { id, periodMs: before, phase, nextRunAt, nextPullAt, freshAsOf },
  tokens: { accessExpiresAt, accessLifetimeMs, refreshExpiresAt },
  cadence,
  now,
}: {
  readonly standing: Standing;
  readonly tokens: Pick<TokenFacts, 'accessExpiresAt' | 'accessLifetimeMs' | 'refreshExpiresAt'>;
  readonly cadence: Cadence;
  readonly now: Instant;
}): PeriodDecision {
  const grantedAt = accessExpiresAt - accessLifetimeMs;
  const refreshLifetimeMs = refreshExpiresAt === null ? null : refreshExpiresAt - grantedAt;
  const periodMs = periodOf({ cadence, accessLifetimeMs, refreshLifetimeMs });
  if (periodMs === before) return { kind: 'keep', reason: 'same_period' };
  const slot = nextSlot({ now, periodMs, phaseMs: phaseOf({ id, periodMs, phase }) });
  const next = nextRunOf({ slot, nextPullAt, freshAsOf, lateAfterMs: cadence.lateAfterMs, now });
  const lateBy = freshAsOf === null ? slot : leastLateBy({ freshAsOf, lateAfterMs: cadence.lateAfterMs });
  const latest = Math.max(now, Math.min(lateBy, accessExpiresAt - leadMs(accessLifetimeMs)));
  // Who cannot wait for the slot comes at any time before; at the last moment they would come together, since those whose slots have just passed are neighbours.
  const early = latest < slot ? now + (latest - now) * spreadOf(`${id}+`) : slot;
  const slotBefore = nextSlot({ now, periodMs: before, phaseMs: phaseOf({ id, periodMs: before, phase }) });
  // A plan before the slot is a retry, a catch-up or an expected change, and none of them waits for longer because of a new table.
  const ownAt = nextRunAt !== null && nextRunAt < slotBefore - LIMITS.runEarlyMaxMs ? nextRunAt : slot;
  const at = Math.min(next.at, early, ownAt);
  return { kind: 'move', reason: 'cadence_changed', periodMs, next: at < slot ? { at, by: 'own_job' } : next };
}
