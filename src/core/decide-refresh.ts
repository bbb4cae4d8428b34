import type { DeadReason } from './authorization.ts';
import { leadMs } from './cadence.ts';
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
  | { readonly kind: 'refresh'; readonly reason: 'ends_before_next_run' | 'expired' | 'rejected_by_source' }
  | { readonly kind: 'recover'; readonly reason: 'attempt_left_open' }
  | { readonly kind: 'dead'; readonly reason: DeadReason };

/**
 * Whether to spend the refresh token now. `neededUntil` is the instant until which the access token has to last (the next run);
 * an attempt left open by a crash is finished first, whatever the token's age.
 */
export function decideRefresh({
  tokens,
  attemptLeftOpen,
  rejected,
  neededUntil,
  endsAt,
  now,
}: {
  readonly tokens: TokenFacts;
  readonly attemptLeftOpen: boolean;
  readonly rejected: boolean;
  readonly neededUntil: Instant;
  readonly endsAt: Instant | null;
  readonly now: Instant;
}): RefreshDecision {
  const expired = now >= tokens.accessExpiresAt;
  // Before anything is spent: past these ends no answer of the source can bring the authorization back.
  if (endsAt !== null && now >= endsAt) return { kind: 'dead', reason: 'max_authorization_reached' };
  if (tokens.refreshExpiresAt !== null && now >= tokens.refreshExpiresAt && expired) {
    return { kind: 'dead', reason: 'refresh_expired' };
  }
  if (attemptLeftOpen) return { kind: 'recover', reason: 'attempt_left_open' };
  if (!tokens.hasRefreshToken) {
    if (expired) return { kind: 'dead', reason: 'refresh_expired' };
    return rejected ? { kind: 'dead', reason: 'revoked' } : { kind: 'use', reason: 'valid_and_not_refreshable' };
  }
  const due = neededUntil + leadMs(tokens.accessLifetimeMs) - LIMITS.lifetimeSlackMs > tokens.accessExpiresAt;
  if (!due && !rejected) return { kind: 'use', reason: 'valid_long_enough' };
  if (rejected) return { kind: 'refresh', reason: 'rejected_by_source' };
  return { kind: 'refresh', reason: expired ? 'expired' : 'ends_before_next_run' };
}
