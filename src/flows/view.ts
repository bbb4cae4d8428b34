import type { AccessTokenView, EventView, SourceStateView } from '../contract/feed.ts';
import type { AuthorizationView } from '../contract/wire.ts';
import type { Authorization } from '../core/authorization.ts';
import { type CadenceTable, cadenceOf } from '../core/cadence.ts';
import { earliestEnd } from '../core/calendar.ts';
import type { Instant } from '../core/clock.ts';
import { PerennialError } from '../core/errors.ts';
import { UNITS } from '../core/limits.ts';
import type { Event, SourceState } from '../core/ports/feed.ts';
import type { Context } from './context.ts';
import type { HandedToken } from './give-token.ts';

/** What a caller sees of an authorization at `now`: its state and why, what comes next, and how fresh its records are. */
export function viewOf({
  authorization,
  cadence: table,
  now,
}: {
  readonly authorization: Authorization;
  readonly cadence: CadenceTable;
  readonly now: Instant;
}): AuthorizationView {
  const {
    id,
    service,
    source,
    network,
    usage,
    usageRequested,
    usageReason,
    state,
    failedRuns,
    lastError,
    ends,
    trouble,
  } = authorization;
  const end = earliestEnd(ends);
  return {
    id,
    service,
    source,
    network,
    endpoint: endpointView(authorization),
    usage,
    usageRequested,
    usageReason,
    state,
    why: authorization.stateReason,
    acceptedAt: iso(authorization.acceptedAt),
    endsAt: isoOrNull(end?.at ?? null),
    endsBecause: end?.kind ?? null,
    ends: {
      refreshToken: isoOrNull(ends.refreshToken),
      maxAuthorization: isoOrNull(ends.maxAuthorization),
      accessGrant: isoOrNull(ends.accessGrant),
      consent: isoOrNull(ends.consent),
    },
    trouble: trouble === null ? null : { kind: trouble.kind, since: iso(trouble.since), until: iso(trouble.until) },
    nextRunAt: isoOrNull(authorization.nextRunAt),
    periodSeconds: authorization.periodMs === null ? null : authorization.periodMs / UNITS.SECOND_MS,
    purgeDueAt: isoOrNull(authorization.purgeDueAt),
    purgeReason: authorization.purgeReason,
    atEnd: authorization.atEnd,
    purgedAt: isoOrNull(authorization.purgedAt),
    lastPull:
      authorization.lastPull === null ? null : { ...authorization.lastPull, at: iso(authorization.lastPull.at) },
    freshness: freshnessOf({ authorization, lateAfterMs: cadenceOf(authorization, table).lateAfterMs, now }),
    failedRuns,
    lastError,
  };
}

function endpointView({ endpoint }: Authorization): AuthorizationView['endpoint'] {
  const { maxAuthorizationPeriodMs: capMs, ...rest } = endpoint;
  return capMs === undefined ? rest : { ...rest, maxAuthorizationPeriodSeconds: capMs / UNITS.SECOND_MS };
}

/** Records of an active MULTIPLE authorization are late once they are older than the network's promise; counted from acceptance until the first pull. */
function freshnessOf({
  authorization: { freshAsOf, acceptedAt, state, usage },
  lateAfterMs,
  now,
}: {
  readonly authorization: Authorization;
  readonly lateAfterMs: number;
  readonly now: Instant;
}): AuthorizationView['freshness'] {
  const kept = state === 'active' && usage === 'MULTIPLE';
  const erased = state === 'purging' || state === 'purged';
  return {
    asOf: isoOrNull(erased ? null : freshAsOf),
    ageSeconds: erased || freshAsOf === null ? null : Math.max(0, Math.round((now - freshAsOf) / UNITS.SECOND_MS)),
    promiseSeconds: lateAfterMs / UNITS.SECOND_MS,
    late: kept && now - (freshAsOf ?? acceptedAt) > lateAfterMs,
  };
}

/** An instant as it stands on the wire. */
function iso(instant: Instant): string {
  return new Date(instant).toISOString();
}

/** The same for an instant that may be unknown. */
function isoOrNull(instant: Instant | null): string | null {
  return instant === null ? null : iso(instant);
}

/** One event as a caller sees it. */
export function eventViewOf(event: Event): EventView {
  return { ...event, at: iso(event.at), endsAt: isoOrNull(event.endsAt) };
}

/** A source's condition as a caller sees it. */
export function sourceViewOf({ source, condition, since, lastAt }: SourceState): SourceStateView {
  return { source, condition, since: iso(since), lastAt: iso(lastAt) };
}

/** An access token as it is handed out: with its end, and where alone it may be used. */
export function tokenViewOf({
  context: { sources, clock },
  authorization,
  given,
  patient,
}: HandedToken & { readonly context: Context }): AccessTokenView {
  const source = sources.get(authorization.source);
  if (source === undefined) throw new PerennialError('unknown_source');
  const leftMs = Math.max(0, given.tokens.accessExpiresAt - clock.now());
  return {
    accessToken: given.accessToken.reveal(),
    tokenType: 'Bearer',
    expiresAt: iso(given.tokens.accessExpiresAt),
    expiresIn: Math.floor(leftMs / UNITS.SECOND_MS),
    fhirBaseUrl: source.fhirBaseUrl,
    patient,
  };
}
