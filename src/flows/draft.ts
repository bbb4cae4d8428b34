import type { AuthorizationRequest } from '../contract/wire.ts';
import { admit } from '../core/admit.ts';
import type { Authorization, CadenceOverride, Endpoint, Ends } from '../core/authorization.ts';
import { cadenceOf } from '../core/cadence.ts';
import type { Instant } from '../core/clock.ts';
import { PerennialError } from '../core/errors.ts';
import { LIMITS, UNITS } from '../core/limits.ts';
import { Secret } from '../core/secret.ts';
import { spreadOf } from '../core/spread.ts';
import { nextWarningOf } from './calendar.ts';
import type { Context } from './context.ts';
import { refreshExpiry, type sealTokens } from './token-vault.ts';

/** An authorization and its tokens as a request makes them, not yet stored. */
export type Draft = {
  readonly authorization: Authorization;
  readonly tokens: Omit<Parameters<typeof sealTokens>[0], 'key'>;
};

/**
 * What a request makes: the authorization with its plan and its purge deadline, and its tokens.
 * @throws PerennialError `token_expired` and `invalid_request` naming the field.
 */
export function draftOf({
  context,
  request,
  actor,
}: {
  readonly context: Context;
  readonly request: AuthorizationRequest;
  readonly actor: string;
}): Draft {
  const now = context.clock.now();
  const issuedAt = request.issuedAt === undefined ? now : Date.parse(request.issuedAt);
  const lifetimeMs = request.expiresIn === undefined ? unknownLifetimeMs(request) : request.expiresIn * UNITS.SECOND_MS;
  const pending = request.publicToken !== undefined;
  if (!pending && issuedAt + lifetimeMs <= now) throw new PerennialError('token_expired', { field: 'expiresIn' });
  if (issuedAt > now + LIMITS.clockSkewMaxMs)
    throw new PerennialError('invalid_request', { field: 'issuedAt is in the future' });
  const tokens: Draft['tokens'] = {
    tokens: {
      publicToken: secretOf(request.publicToken),
      accessToken: secretOf(request.accessToken),
      refreshToken: request.usage === 'MULTIPLE' ? secretOf(request.refreshToken) : null,
      patient: secretOf(request.patient),
    },
    version: 1,
    accessExpiresAt: pending ? now : issuedAt + lifetimeMs,
    accessLifetimeMs: lifetimeMs,
    doubtAt: null,
    refreshExpiresAt: pending ? null : refreshExpiry(refreshEndOf({ context, request }), issuedAt),
  };
  const authorization = newAuthorization({ context, request, actor, now, issuedAt, pending, tokens });
  return { authorization, tokens };
}

function newAuthorization({
  context,
  request,
  actor,
  now,
  issuedAt,
  pending,
  tokens,
}: {
  readonly context: Context;
  readonly request: AuthorizationRequest;
  readonly actor: string;
  readonly now: Instant;
  readonly issuedAt: Instant;
  readonly pending: boolean;
  readonly tokens: Draft['tokens'];
}): Authorization {
  const endpoint = endpointOf(request);
  const cadence = cadenceOverrideOf(request);
  const { id, source, network, usage } = request;
  const { accessToken } = tokens.tokens;
  const common = {
    id,
    source,
    network,
    endpoint,
    cadence,
    service: actor,
    usageRequested: usage,
    acceptedAt: now,
    authorizedAt: issuedAt,
    phase: spreadOf(id),
    nextRunAt: now,
    nextPullAt: null,
    toldAt: null,
    askedAt: null,
    doubtedVersion: null,
    upstreamRef: accessToken === null ? null : (context.sources.get(source)?.refOfToken(accessToken) ?? null),
    purgedAt: null,
    atEnd: request.atEnd ?? null,
    upstreamEnd: null,
    fetchedAt: null,
    lastPull: null,
    freshAsOf: null,
    failedRuns: 0,
    lastError: null,
    trouble: null,
  } as const;
  const ends = endsOf({ request, tokens });
  if (pending) {
    const once = usage === 'ONE_TIME';
    return {
      ...common,
      usage,
      usageReason: 'as_requested',
      state: 'pending',
      stateReason: 'accepted',
      ends,
      nextWarningAt: null,
      periodMs: null,
      purgeDueAt: once ? now + LIMITS.oneTimeMaxMs : null,
      purgeReason: once ? 'one_time_expired' : null,
    };
  }
  const admission = admit({
    usageRequested: usage,
    endpoint,
    hasRefreshToken: tokens.tokens.refreshToken !== null,
    accessExpiresAt: tokens.accessExpiresAt,
    accessLifetimeMs: tokens.accessLifetimeMs,
    ends,
    authorizedAt: issuedAt,
    acceptedAt: now,
    cadence: cadenceOf({ network, endpoint, cadence }, context.cadence),
  });
  const nextWarningAt = nextWarningOf({
    context,
    ends: admission.ends,
    usage: admission.usage,
    refreshGrantedAt: issuedAt,
  });
  return { ...common, ...admission, nextWarningAt, state: 'active', stateReason: 'accepted' };
}

/** What the caller and its tokens tell of the authorization's ends. */
function endsOf({
  request: { accessGrantExpiration, consentEndsAt },
  tokens,
}: {
  readonly request: AuthorizationRequest;
  readonly tokens: Draft['tokens'];
}): Ends {
  const instantOf = (text: string | undefined) => (text === undefined ? null : Date.parse(text));
  return {
    refreshToken: tokens.tokens.refreshToken === null ? null : tokens.refreshExpiresAt,
    maxAuthorization: null,
    accessGrant: instantOf(accessGrantExpiration),
    consent: instantOf(consentEndsAt),
  };
}

/** A short guess makes a refreshable token be refreshed early; a ONE_TIME one would lose its data by it, so there the cap holds. */
function unknownLifetimeMs({ usage, refreshToken }: AuthorizationRequest): number {
  const refreshable = usage === 'MULTIPLE' && refreshToken !== undefined;
  return refreshable ? LIMITS.accessTokenUnknownLifetimeMs : LIMITS.oneTimeMaxMs;
}

function secretOf(value: string | undefined): Secret | null {
  return value === undefined ? null : new Secret(value);
}

/** On the wire 0 means "never" (contract, section 1.2). */
function refreshEndOf({
  context,
  request: { source, refreshToken, refreshExpiresIn: seconds },
}: {
  readonly context: Context;
  readonly request: AuthorizationRequest;
}): Parameters<typeof refreshExpiry>[0] {
  if (seconds === undefined) {
    const lifetimeMs = context.sources.get(source)?.assumedRefreshLifetimeMs ?? null;
    return lifetimeMs === null || refreshToken === undefined ? { kind: 'unknown' } : { kind: 'after', lifetimeMs };
  }
  return seconds === 0 ? { kind: 'never' } : { kind: 'after', lifetimeMs: seconds * UNITS.SECOND_MS };
}

function endpointOf({ endpoint }: AuthorizationRequest): Endpoint {
  const { id, name, refreshable, maxAuthorizationPeriodSeconds: capS } = endpoint;
  return {
    id,
    ...(name === undefined ? {} : { name }),
    ...(refreshable === undefined ? {} : { refreshable }),
    ...(capS === undefined ? {} : { maxAuthorizationPeriodMs: capS * UNITS.SECOND_MS }),
  };
}

function cadenceOverrideOf({ cadence }: AuthorizationRequest): CadenceOverride {
  const { pullEverySeconds, lateAfterSeconds } = cadence ?? {};
  return {
    ...(pullEverySeconds === undefined ? {} : { pullEveryMs: pullEverySeconds * UNITS.SECOND_MS }),
    ...(lateAfterSeconds === undefined ? {} : { lateAfterMs: lateAfterSeconds * UNITS.SECOND_MS }),
  };
}
