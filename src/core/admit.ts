import type { Endpoint, Ends, PurgeReason, Usage, UsageReason } from './authorization.ts';
import { type Cadence, periodOf } from './cadence.ts';
import { hardEnd } from './calendar.ts';
import type { Instant } from './clock.ts';
import { LIMITS } from './limits.ts';

/** What a granted token makes of an authorization. */
export type Admission = {
  readonly usage: Usage;
  readonly usageReason: UsageReason;
  readonly ends: Ends;
  readonly periodMs: number | null;
  readonly purgeDueAt: Instant | null;
  readonly purgeReason: PurgeReason | null;
};

/**
 * Decides the life of an authorization once its tokens are known. The presence of a refresh token decides, never the scope
 * string or what was asked (design, section 2): MULTIPLE without one becomes ONE_TIME, and the reason is kept.
 * ONE_TIME ends with its access token, and after 24 h at the latest.
 */
export function admit({
  usageRequested,
  endpoint,
  hasRefreshToken,
  accessExpiresAt,
  accessLifetimeMs,
  ends: told,
  authorizedAt,
  acceptedAt,
  cadence,
}: {
  readonly usageRequested: Usage;
  readonly endpoint: Endpoint;
  readonly hasRefreshToken: boolean;
  readonly accessExpiresAt: Instant;
  readonly accessLifetimeMs: number;
  readonly ends: Ends;
  readonly authorizedAt: Instant;
  readonly acceptedAt: Instant;
  readonly cadence: Cadence;
}): Admission {
  const cap = endpoint.maxAuthorizationPeriodMs;
  const capped = [told.maxAuthorization, cap === undefined ? null : authorizedAt + cap].filter((end) => end !== null);
  const ends: Ends = { ...told, maxAuthorization: capped.length === 0 ? null : Math.min(...capped) };
  if (usageRequested === 'MULTIPLE' && hasRefreshToken) {
    const { refreshToken } = told;
    const refreshLifetimeMs = refreshToken === null ? null : refreshToken - (accessExpiresAt - accessLifetimeMs);
    const periodMs = periodOf({ cadence, accessLifetimeMs, refreshLifetimeMs });
    return { usage: 'MULTIPLE', usageReason: 'as_requested', ends, periodMs, purgeDueAt: null, purgeReason: null };
  }
  return {
    usage: 'ONE_TIME',
    usageReason: usageReasonOf(usageRequested, endpoint),
    ends: { ...ends, refreshToken: null },
    periodMs: null,
    purgeDueAt: Math.min(
      accessExpiresAt,
      acceptedAt + LIMITS.oneTimeMaxMs,
      hardEnd(ends)?.at ?? Number.POSITIVE_INFINITY,
    ),
    purgeReason: 'one_time_expired',
  };
}

function usageReasonOf(requested: Usage, endpoint: Endpoint): UsageReason {
  if (requested === 'ONE_TIME') return 'as_requested';
  return endpoint.refreshable === false ? 'endpoint_not_refreshable' : 'no_refresh_token';
}
