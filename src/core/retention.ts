import type { Authorization } from './authorization.ts';
import type { Instant } from './clock.ts';

/** When a dead authorization's data is purged, and why. */
export type Retention = Pick<Authorization, 'purgeDueAt' | 'purgeReason'>;

/**
 * The deadline of an authorization that has just died. One that it has already (a ONE_TIME's) stays: the rule shortens a life and never lengthens it.
 * `purgeDeadAfterMs` is the rule of its source; null keeps the data until its patient comes back or somebody asks for the purge.
 */
export function retentionOfDead({
  authorization: { purgeDueAt, purgeReason },
  purgeDeadAfterMs,
  now,
}: {
  readonly authorization: Retention;
  readonly purgeDeadAfterMs: number | null;
  readonly now: Instant;
}): Retention {
  if (purgeDeadAfterMs === null) return { purgeDueAt, purgeReason };
  const due = now + purgeDeadAfterMs;
  return purgeDueAt !== null && purgeDueAt <= due
    ? { purgeDueAt, purgeReason }
    : { purgeDueAt: due, purgeReason: 'retention' };
}

/** An authorization that lives again has no deadline of the dead; any other stays. */
export function retentionOfLiving({ purgeDueAt, purgeReason }: Retention): Retention {
  return purgeReason === 'retention' ? { purgeDueAt: null, purgeReason: null } : { purgeDueAt, purgeReason };
}
