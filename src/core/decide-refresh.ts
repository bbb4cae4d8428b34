import type { DeadReason, Ends } from './authorization.ts';
import { leadMs } from './cadence.ts';
import { deadReasonOfEnd, hardEnd } from './calendar.ts';
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
      readonly reason: 'ends_before_next_run' | 'expired' | 'rejected_by_source' | 'kept_alive';
    }
  | { readonly kind: 'recover'; readonly reason: 'attempt_left_open' }
  | { readonly kind: 'dead'; readonly reason: DeadReason };

/**
 * Whether to spend the refresh token now. `neededUntil` is the instant until which the access token has to last (the next run);
 * an attempt left open by a crash is finished first, whatever the token's age. A refresh token is used once a day at least, and before its own end,
 * even where the access token would last longer: many servers let an idle one die (promise P11).
 */
export function decideRefresh({
  tokens,
  attemptLeftOpen,
  rejected,
  neededUntil,
  ends,
  now,
}: {
  readonly tokens: TokenFacts;
  readonly attemptLeftOpen: boolean;
  readonly rejected: boolean;
  readonly neededUntil: Instant;
  readonly ends: Ends;
  readonly now: Instant;
}): RefreshDecision {
  const expired = now >= tokens.accessExpiresAt;
  // Before anything is spent: past these ends no answer of the source can bring the authorization back.
  const end = hardEnd(ends);
  if (end !== null && now >= end.at) return { kind: 'dead', reason: deadReasonOfEnd(end.kind) };
  if (tokens.refreshExpiresAt !== null && now >= tokens.refreshExpiresAt && expired) {
    return { kind: 'dead', reason: 'refresh_expired' };
  }
  if (attemptLeftOpen) return { kind: 'recover', reason: 'attempt_left_open' };
  if (!tokens.hasRefreshToken) {
    if (expired) return { kind: 'dead', reason: 'refresh_expired' };
    return rejected ? { kind: 'dead', reason: 'revoked' } : { kind: 'use', reason: 'valid_and_not_refreshable' };
  }
  if (rejected) return { kind: 'refresh', reason: 'rejected_by_source' };
  if (expired) return { kind: 'refresh', reason: 'expired' };
  const due = neededUntil + leadMs(tokens.accessLifetimeMs) - LIMITS.lifetimeSlackMs > tokens.accessExpiresAt;
  if (due) return { kind: 'refresh', reason: 'ends_before_next_run' };
  if (wouldIdle({ tokens, neededUntil })) return { kind: 'refresh', reason: 'kept_alive' };
  return { kind: 'use', reason: 'valid_long_enough' };
}

/** Whether the refresh token would lie unused for too long, or reach its end, before the run after this one. */
function wouldIdle({ tokens, neededUntil }: { readonly tokens: TokenFacts; readonly neededUntil: Instant }): boolean {
  const { accessExpiresAt, accessLifetimeMs, refreshExpiresAt } = tokens;
  const grantedAt = accessExpiresAt - accessLifetimeMs;
  if (neededUntil - grantedAt > LIMITS.refreshIdleMaxMs) return true;
  return refreshExpiresAt !== null && neededUntil + LIMITS.refreshEndMarginMs > refreshExpiresAt;
}
