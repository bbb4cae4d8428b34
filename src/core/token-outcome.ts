import type { DeadReason } from './authorization.ts';
import type { Instant } from './clock.ts';
import type { Secret } from './secret.ts';

/** Until when a refresh token may be used: `never` ends (the wire's 0), after some time, or nobody said (null). */
export type RefreshEnd =
  | { readonly kind: 'after'; readonly lifetimeMs: number }
  | { readonly kind: 'never' | 'unknown' };

/** A pair of tokens as a token endpoint granted it; lifetimes count from the moment the request was sent. */
export type TokenGrant = {
  readonly accessToken: Secret;
  readonly refreshToken: Secret | null;
  readonly accessLifetimeMs: number;
  readonly refreshEnd: RefreshEnd;
  /** Milliseconds until the source's cap on the whole authorization; null when it has none or did not say. */
  readonly authorizationEndsInMs: number | null;
  readonly patient: string | null;
  readonly endpoint: { readonly id: string; readonly name?: string; readonly refreshable?: boolean } | null;
};

/** What came back from a token endpoint, before anyone judged it. */
export type TokenReply =
  | { readonly kind: 'no_reply'; readonly reason: 'timeout' | 'connection' | 'cancelled' | 'too_large' }
  | {
      readonly kind: 'reply';
      readonly status: number;
      readonly oauthCode: string | null;
      readonly grant: TokenGrant | null;
      readonly retryAfterMs: number | null;
    };

/** What a token reply means for the authorization. */
export type TokenOutcome =
  | { readonly kind: 'granted'; readonly grant: TokenGrant }
  /** The server refuses this token for good. */
  | { readonly kind: 'refused' }
  /** The server refuses us, whoever the patient is. */
  | { readonly kind: 'client_refused' }
  | { readonly kind: 'throttled'; readonly retryAfterMs: number | null }
  /** Nobody can tell whether the token was spent. */
  | { readonly kind: 'unsure'; readonly reason: 'no_reply' | 'server_error' | 'unusable_body' | 'unclear_refusal' };

const CLIENT_CODES: ReadonlySet<string> = new Set(['invalid_client', 'unauthorized_client']);

/**
 * Judges by status and OAuth code, never by text (RFC 6749 section 5.2; contract, sections 8.4 and 11): real servers answer a dead
 * refresh token with `invalid_grant` under 400, 401 or 403, and `invalid_request` is dead only after a second look.
 */
export function judgeTokenReply(reply: TokenReply): TokenOutcome {
  if (reply.kind === 'no_reply') return { kind: 'unsure', reason: 'no_reply' };
  const { status, oauthCode } = reply;
  if (status === 429) return { kind: 'throttled', retryAfterMs: reply.retryAfterMs };
  if (status >= 200 && status < 300) {
    return reply.grant === null ? { kind: 'unsure', reason: 'unusable_body' } : { kind: 'granted', grant: reply.grant };
  }
  if (status >= 400 && status < 500) {
    if (oauthCode !== null && CLIENT_CODES.has(oauthCode)) return { kind: 'client_refused' };
    if (oauthCode === 'invalid_grant') return { kind: 'refused' };
    return { kind: 'unsure', reason: 'unclear_refusal' };
  }
  return { kind: 'unsure', reason: 'server_error' };
}

/**
 * Why a refused refresh token is dead. With an unsure attempt of our own behind it, our lost reply may have spent the token,
 * and we say so instead of blaming the patient.
 */
export function deadReasonOf({
  unsureBefore,
  now,
  refreshExpiresAt,
  endsAt,
}: {
  readonly unsureBefore: boolean;
  readonly now: Instant;
  readonly refreshExpiresAt: Instant | null;
  readonly endsAt: Instant | null;
}): DeadReason {
  if (endsAt !== null && now >= endsAt) return 'max_authorization_reached';
  if (refreshExpiresAt !== null && now >= refreshExpiresAt) return 'refresh_expired';
  return unsureBefore ? 'ambiguous_refresh' : 'revoked';
}

/** Statuses with which an exchange endpoint refuses a public token for good; Flexpa names no OAuth code there (contract, 1.7). */
const EXCHANGE_REFUSALS: ReadonlySet<number> = new Set([400, 404, 410, 422]);

/** Judges the reply to an exchange: as {@link judgeTokenReply}, but a plain refusal is definite. */
export function judgeExchangeReply(reply: TokenReply): TokenOutcome {
  const outcome = judgeTokenReply(reply);
  const plain = outcome.kind === 'unsure' && outcome.reason === 'unclear_refusal';
  return plain && reply.kind === 'reply' && EXCHANGE_REFUSALS.has(reply.status) ? { kind: 'refused' } : outcome;
}
