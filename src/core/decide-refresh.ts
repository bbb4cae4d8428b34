import type { DeadReason, Ends, Trouble } from './authorization.ts';
import { leadMs } from './cadence.ts';
import { deadReasonOfEnd, endThatHasCome } from './calendar.ts';
import type { Instant } from './clock.ts';
import { LIMITS } from './limits.ts';

/** What is known about an authorization's tokens without opening them. */
export type TokenFacts = {
  readonly version: number;
  readonly hasRefreshToken: boolean;
  readonly accessExpiresAt: Instant;
  readonly accessLifetimeMs: number;
  readonly refreshExpiresAt: Instant | null;
};

export type RefreshDecision =
  | { readonly kind: 'use'; readonly reason: 'valid_long_enough' | 'valid_and_not_refreshable' }
  | {
      readonly kind: 'refresh';
      readonly reason: 'ends_before_next_run' | 'expired' | 'rejected_by_source' | 'said_to_be_over' | 'kept_alive';
    }
  | { readonly kind: 'recover'; readonly reason: 'attempt_left_open' }
  /** Nothing is offered before the instant that the last failure set. */
  | { readonly kind: 'wait'; readonly reason: 'told_to_wait'; readonly until: Instant }
  | { readonly kind: 'dead'; readonly reason: DeadReason };

/**
 * Whether to spend the refresh token now. `neededUntil` is the instant until which the access token has to last (the next run);
 * an attempt left open by a crash is finished first, whatever the token's age. A refresh token is used once a day at least, and before its own end,
 * even where the access token would last longer: many servers let an idle one die (promise P11).
 */
export function decideRefresh({
  tokens,
  attempt,
  trouble,
  rejected,
  doubtedVersion,
  neededUntil,
  ends,
  now,
}: {
  readonly tokens: TokenFacts;
  /** `left_open` by a crash, which has to be finished now; `parked` by a run that ended without a verdict. */
  readonly attempt: 'none' | 'left_open' | 'parked';
  readonly trouble: Trouble | null;
  readonly rejected: boolean;
  /** The pair that was the newest when the source said that the grant is over: its refresh token is offered, and the answer settles it. */
  readonly doubtedVersion: number | null;
  readonly neededUntil: Instant;
  readonly ends: Ends;
  readonly now: Instant;
}): RefreshDecision {
  const expired = now >= tokens.accessExpiresAt;
  // Before anything is spent: past these ends no answer of the source can bring the authorization back.
  const end = endThatHasCome({ ends, now });
  if (end !== null) return { kind: 'dead', reason: deadReasonOfEnd(end.kind) };
  if (tokens.refreshExpiresAt !== null && now >= tokens.refreshExpiresAt && expired) {
    return { kind: 'dead', reason: 'refresh_expired' };
  }
  if (attempt === 'left_open') return { kind: 'recover', reason: 'attempt_left_open' };
  if (!tokens.hasRefreshToken) {
    if (expired) return { kind: 'dead', reason: 'refresh_expired' };
    return rejected ? { kind: 'dead', reason: 'revoked' } : { kind: 'use', reason: 'valid_and_not_refreshable' };
  }
  const doubted = doubtedVersion !== null && tokens.version <= doubtedVersion;
  const reason = dueReason({ tokens, attempt, rejected, doubted, expired, neededUntil });
  if (reason === null) return { kind: 'use', reason: 'valid_long_enough' };
  // What only a person can mend is held back for the whole source, and tried at once after a restart.
  const waits = trouble !== null && trouble.kind !== 'misconfigured' && now < trouble.until;
  if (waits) return { kind: 'wait', reason: 'told_to_wait', until: trouble.until };
  return reason === 'attempt_left_open' ? { kind: 'recover', reason } : { kind: 'refresh', reason };
}

/** Why the refresh token is to be spent now, if it is. */
function dueReason({
  tokens,
  attempt,
  rejected,
  doubted,
  expired,
  neededUntil,
}: {
  readonly tokens: TokenFacts;
  readonly attempt: 'none' | 'parked';
  readonly rejected: boolean;
  readonly doubted: boolean;
  readonly expired: boolean;
  readonly neededUntil: Instant;
}) {
  if (attempt === 'parked') return 'attempt_left_open';
  if (rejected) return 'rejected_by_source';
  if (doubted) return 'said_to_be_over';
  if (expired) return 'expired';
  const due = neededUntil + leadMs(tokens.accessLifetimeMs) - LIMITS.lifetimeSlackMs > tokens.accessExpiresAt;
  if (due) return 'ends_before_next_run';
  return wouldIdle({ tokens, neededUntil }) ? 'kept_alive' : null;
}

/** When the stored pair was granted. */
export function grantedAtOf({ accessExpiresAt, accessLifetimeMs }: TokenFacts): Instant {
  return accessExpiresAt - accessLifetimeMs;
}

/** Whether the refresh token would lie unused for too long, or reach its end, before the run after this one. */
function wouldIdle({ tokens, neededUntil }: { readonly tokens: TokenFacts; readonly neededUntil: Instant }): boolean {
  const { refreshExpiresAt } = tokens;
  if (neededUntil - grantedAtOf(tokens) > LIMITS.refreshIdleMaxMs) return true;
  return refreshExpiresAt !== null && neededUntil + LIMITS.refreshEndMarginMs > refreshExpiresAt;
}
