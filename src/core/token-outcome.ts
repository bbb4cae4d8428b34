import type { DeadReason, Ends } from './authorization.ts';
import { deadReasonOfEnd, earliestEnd } from './calendar.ts';
import type { Instant } from './clock.ts';
import { LIMITS } from './limits.ts';
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
  /** When the patient's grant itself ends, where the reply names an instant (Blue Button's `access_grant_expiration`). */
  readonly accessGrantEndsAt: Instant | null;
  readonly patient: string | null;
  readonly endpoint: { readonly id: string; readonly name?: string; readonly refreshable?: boolean } | null;
};

/** What came back from a token endpoint, before anyone judged it. */
export type TokenReply =
  | {
      readonly kind: 'no_reply';
      /** `withheld`: the sender was no longer sure to hold the lease, so nothing was put on the wire. */
      readonly reason: 'timeout' | 'connection' | 'cancelled' | 'too_large' | 'withheld';
      /** False only when it is certain that no byte of the token left this process. */
      readonly sent: boolean;
    }
  | {
      readonly kind: 'reply';
      readonly status: number;
      readonly oauthCode: string | null;
      readonly grant: TokenGrant | null;
      readonly retryAfterMs: number | null;
    };

/** What a token reply means for the authorization. Told apart by status and OAuth code, never by text. */
export type TokenOutcome =
  | { readonly kind: 'granted'; readonly grant: TokenGrant }
  /** The server refuses this token for good. */
  | { readonly kind: 'refused' }
  /** A refusal that may mean a dead token and may mean something else: believed only after a second look. */
  | { readonly kind: 'unclear' }
  /** The server refuses us, whoever the patient is. */
  | { readonly kind: 'client_refused' }
  | { readonly kind: 'throttled'; readonly retryAfterMs: number | null }
  /** The source is away. `maybeSpent` is false when the token certainly never reached it. */
  | {
      readonly kind: 'outage';
      readonly reason: 'not_sent' | 'server_error';
      readonly maybeSpent: boolean;
      readonly retryAfterMs: number | null;
    }
  /** The token was sent, and nobody can tell whether it was spent. */
  | { readonly kind: 'unsure'; readonly reason: 'no_reply' | 'unusable_body' | 'not_oauth' };

/** Codes that speak of the client or of our request as such, not of one patient's token (RFC 6749, 5.2). */
const CLIENT_CODES: ReadonlySet<string> = new Set(['invalid_client', 'unauthorized_client', 'unsupported_grant_type']);
/** Codes with which real servers also refuse a dead token (contract, section 11). */
const UNCLEAR_CODES: ReadonlySet<string> = new Set([
  'invalid_request',
  'invalid_scope',
  'access_denied',
  'invalid_token',
]);
/** Codes of a server that is not well, under whatever status (RFC 6749, 4.1.2.1, used at token endpoints too). */
const OUTAGE_CODES: ReadonlySet<string> = new Set(['server_error', 'temporarily_unavailable']);

/**
 * Judges a refresh by status and OAuth code (RFC 6749 section 5.2; contract, sections 8.4 and 11): real servers answer a dead refresh token with
 * `invalid_grant` under 400, 401 or 403. A 5xx is an outage whatever its body says, and so is a request that never left.
 */
export function judgeTokenReply(reply: TokenReply): TokenOutcome {
  if (reply.kind === 'no_reply') {
    if (reply.sent) return { kind: 'unsure', reason: 'no_reply' };
    return { kind: 'outage', reason: 'not_sent', maybeSpent: false, retryAfterMs: null };
  }
  const { status, oauthCode, retryAfterMs } = reply;
  if (status === 429) return { kind: 'throttled', retryAfterMs };
  if (status >= 200 && status < 300) {
    return reply.grant === null ? { kind: 'unsure', reason: 'unusable_body' } : { kind: 'granted', grant: reply.grant };
  }
  if (status >= 400 && status < 500 && oauthCode !== null) {
    if (CLIENT_CODES.has(oauthCode)) return { kind: 'client_refused' };
    if (oauthCode === 'invalid_grant') return { kind: 'refused' };
    if (UNCLEAR_CODES.has(oauthCode)) return { kind: 'unclear' };
  }
  if (status >= 500 || (oauthCode !== null && OUTAGE_CODES.has(oauthCode))) {
    return { kind: 'outage', reason: 'server_error', maybeSpent: true, retryAfterMs };
  }
  // A firewall's page, a moved URL: no token endpoint has spoken.
  return { kind: 'unsure', reason: 'not_oauth' };
}

/**
 * Why a refused refresh token is dead. With an unsure attempt of our own behind it, our lost reply may have spent the token,
 * and we say so instead of blaming the patient.
 */
export function deadReasonOf({
  unsureBefore,
  ends,
  now,
}: {
  readonly unsureBefore: boolean;
  readonly ends: Ends;
  readonly now: Instant;
}): DeadReason {
  const end = earliestEnd(ends);
  if (end !== null && now >= end.at) return deadReasonOfEnd(end.kind);
  return unsureBefore ? 'ambiguous_refresh' : 'revoked';
}

/** Statuses with which an exchange endpoint refuses a public token for good; Flexpa names no OAuth code there (contract, 1.7). */
const EXCHANGE_REFUSALS: ReadonlySet<number> = new Set([400, 404, 410, 422]);

/** Judges the reply to an exchange: as {@link judgeTokenReply}, but a plain refusal is definite. */
export function judgeExchangeReply(reply: TokenReply): TokenOutcome {
  const outcome = judgeTokenReply(reply);
  const plain = outcome.kind === 'unclear' || (outcome.kind === 'unsure' && outcome.reason === 'not_oauth');
  return plain && reply.kind === 'reply' && EXCHANGE_REFUSALS.has(reply.status) ? { kind: 'refused' } : outcome;
}

/** Which doubt a pair that was granted to a request sent at `sentAt` still stands under: the latest unanswered attempt, until it has surely reached its server. */
export function doubtAfter({
  attempts,
  sentAt,
}: {
  /** When attempts were sent that nobody answered, of this token and of the one before. */
  readonly attempts: readonly (Instant | null)[];
  readonly sentAt: Instant;
}): Instant | null {
  const latest = attempts.reduce<Instant | null>(
    (found, at) => (at !== null && (found === null || at > found) ? at : found),
    null,
  );
  return latest !== null && sentAt - latest < LIMITS.doubtFadesMs ? latest : null;
}
