import type { Instant } from './clock.ts';
import { LIMITS } from './limits.ts';

/** How long a catch-up of so many overdue runs takes: as close together as the fleet carries, and no longer than {@link LIMITS.catchUpWithinMs}. */
export function catchUpWindowMs({
  backlog,
  spacingMs,
}: {
  readonly backlog: number;
  readonly spacingMs: number;
}): number {
  return Math.min(LIMITS.catchUpWithinMs, backlog * spacingMs);
}

/**
 * When an overdue run catches up: as many steps into the window as others go before it. The window begins where all jobs that wake within the first minute
 * wait for their plans (core/decide-run.ts). Never behind its own next slot, which is spread by itself, and behind which no plan is believed.
 */
export function catchUpAt({
  rank,
  backlog,
  spacingMs,
  slot,
  now,
}: {
  /** How many go before it, from 0. */
  readonly rank: number;
  readonly backlog: number;
  readonly spacingMs: number;
  readonly slot: Instant;
  readonly now: Instant;
}): Instant {
  const share = backlog === 0 ? 0 : Math.min(1, rank / backlog);
  return Math.min(now + LIMITS.catchUpAfterMs + share * catchUpWindowMs({ backlog, spacingMs }), slot);
}

/** What a catch-up goes by. An instant that is not known is null. */
export type Deadlines = {
  readonly id: string;
  readonly freshAsOf: Instant | null;
  readonly lateAfterMs: number | null;
  readonly accessExpiresAt: Instant | null;
  readonly refreshExpiresAt: Instant | null;
};

/**
 * Who goes first. A refresh token that would end before the catch-up does takes its patient's consent with it and cannot be made good, so those lead; then
 * whoever's records are late, or a token over, soonest.
 */
export function compareDeadlines({
  now,
  urgentBefore,
}: {
  readonly now: Instant;
  readonly urgentBefore: Instant;
}): (left: Deadlines, right: Deadlines) => number {
  const isUrgent = ({ refreshExpiresAt: end }: Deadlines) => end !== null && end > now && end < urgentBefore;
  return (left, right) =>
    Number(isUrgent(right)) - Number(isUrgent(left)) ||
    deadlineOf(left) - deadlineOf(right) ||
    (left.id < right.id ? -1 : left.id > right.id ? 1 : 0);
}

function deadlineOf({ freshAsOf, lateAfterMs, accessExpiresAt, refreshExpiresAt }: Deadlines): Instant {
  const lateAt = freshAsOf === null || lateAfterMs === null ? null : freshAsOf + lateAfterMs;
  return Math.min(...[lateAt, accessExpiresAt, refreshExpiresAt].map((at) => at ?? Number.MAX_VALUE));
}
