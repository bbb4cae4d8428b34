import type { AuthorizationView } from '../contract/wire.ts';
import type { Authorization } from '../core/authorization.ts';
import { type CadenceTable, cadenceOf } from '../core/cadence.ts';
import type { Instant } from '../core/clock.ts';
import { UNITS } from '../core/limits.ts';

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
  const { id, service, source, network, usage, usageRequested, usageReason, state, failedRuns, lastError } =
    authorization;
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
    endsAt: isoOrNull(authorization.endsAt),
    nextRunAt: isoOrNull(authorization.nextRunAt),
    periodSeconds: authorization.periodMs === null ? null : authorization.periodMs / UNITS.SECOND_MS,
    purgeDueAt: isoOrNull(authorization.purgeDueAt),
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

function iso(instant: Instant): string {
  return new Date(instant).toISOString();
}

function isoOrNull(instant: Instant | null): string | null {
  return instant === null ? null : iso(instant);
}
