import type { Authorization } from './authorization.ts';
import type { Cadence } from './cadence.ts';
import type { Instant } from './clock.ts';

export type PullDecision =
  | { readonly kind: 'pull'; readonly reason: 'first' | 'due' | 'last_not_complete' | 'asked_for' }
  | { readonly kind: 'skip'; readonly reason: 'not_due' | 'not_active' | 'already_fetched' | 'past_purge_deadline' };

/**
 * Whether this run pulls the records, or only keeps the token alive (short-lived tokens make runs that are no pulls). A pull is left out only
 * if the next run still comes within the period: the first slot after an acceptance may come soon after the first pull, and leaving it
 * out there would make the records nearly two periods old.
 */
export function decidePull({
  authorization,
  cadence,
  askedFor,
  nextRunAt,
  now,
}: {
  readonly authorization: Pick<Authorization, 'state' | 'usage' | 'fetchedAt' | 'lastPull' | 'purgeDueAt'>;
  readonly cadence: Cadence;
  readonly askedFor: boolean;
  readonly nextRunAt: Instant | null;
  readonly now: Instant;
}): PullDecision {
  const { state, usage, fetchedAt, lastPull, purgeDueAt } = authorization;
  if (state !== 'active') return { kind: 'skip', reason: 'not_active' };
  if (purgeDueAt !== null && now >= purgeDueAt) return { kind: 'skip', reason: 'past_purge_deadline' };
  if (usage === 'ONE_TIME' && fetchedAt !== null) return { kind: 'skip', reason: 'already_fetched' };
  if (lastPull === null) return { kind: 'pull', reason: 'first' };
  if (askedFor) return { kind: 'pull', reason: 'asked_for' };
  if (lastPull.result !== 'complete') return { kind: 'pull', reason: 'last_not_complete' };
  const nextInTime = nextRunAt !== null && nextRunAt <= lastPull.at + cadence.pullEveryMs;
  return nextInTime ? { kind: 'skip', reason: 'not_due' } : { kind: 'pull', reason: 'due' };
}
