import type { Authorization } from './authorization.ts';
import type { Cadence } from './cadence.ts';
import type { Instant } from './clock.ts';

export type PullDecision =
  | { readonly kind: 'pull'; readonly reason: 'first' | 'due' | 'last_not_complete' | 'asked_for' }
  | { readonly kind: 'skip'; readonly reason: 'not_due' | 'not_active' | 'already_fetched' | 'past_purge_deadline' };

/** A run may come this share of a period early and still counts as due; runs made for a token alone are earlier than that. */
const EARLY_SHARE = 0.1;

/** Whether this run pulls the records, or only keeps the token alive (short-lived tokens make runs that are no pulls). */
export function decidePull({
  authorization,
  cadence,
  askedFor,
  now,
}: {
  readonly authorization: Pick<Authorization, 'state' | 'usage' | 'fetchedAt' | 'lastPull' | 'purgeDueAt'>;
  readonly cadence: Cadence;
  readonly askedFor: boolean;
  readonly now: Instant;
}): PullDecision {
  const { state, usage, fetchedAt, lastPull, purgeDueAt } = authorization;
  if (state !== 'active') return { kind: 'skip', reason: 'not_active' };
  if (purgeDueAt !== null && now >= purgeDueAt) return { kind: 'skip', reason: 'past_purge_deadline' };
  if (usage === 'ONE_TIME' && fetchedAt !== null) return { kind: 'skip', reason: 'already_fetched' };
  if (lastPull === null) return { kind: 'pull', reason: 'first' };
  if (askedFor) return { kind: 'pull', reason: 'asked_for' };
  if (lastPull.result !== 'complete') return { kind: 'pull', reason: 'last_not_complete' };
  const due = lastPull.at + cadence.pullEveryMs * (1 - EARLY_SHARE);
  return now >= due ? { kind: 'pull', reason: 'due' } : { kind: 'skip', reason: 'not_due' };
}
