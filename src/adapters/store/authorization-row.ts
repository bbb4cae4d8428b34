import type { Insertable, Selectable, Updateable } from 'kysely';
import type { Authorization, Ends, LastPull, Trouble } from '../../core/authorization.ts';
import { earliestEnd } from '../../core/calendar.ts';
import { PerennialError } from '../../core/errors.ts';
import { NETWORK_POLICIES } from '../../core/networks.ts';
import type { AuthorizationPatch } from '../../core/ports/store.ts';
import { spreadOf } from '../../core/spread.ts';
import {
  AT_END_SET,
  member,
  PULL_RESULT_SET,
  PURGE_REASON_SET,
  STATE_REASON_SET,
  STATE_SET,
  TROUBLE_SET,
  toCadence,
  toEndpoint,
  toEnds,
  UPSTREAM_END_SET,
  USAGE_REASON_SET,
  USAGE_SET,
} from './columns.ts';
import type { AuthorizationsTable } from './tables.ts';

type Row = Selectable<AuthorizationsTable>;

/** One row as core knows it. @throws PerennialError `internal` when the row holds what this version does not know. */
export function toAuthorization(row: Row): Authorization {
  return {
    id: row.id,
    service: row.service,
    source: row.source,
    network: member(NETWORK_POLICIES, row.network),
    endpoint: toEndpoint(row.endpoint),
    cadence: toCadence(row.cadence),
    usageRequested: member(USAGE_SET, row.usage_requested),
    usage: member(USAGE_SET, row.usage),
    usageReason: member(USAGE_REASON_SET, row.usage_reason),
    state: member(STATE_SET, row.state),
    stateReason: member(STATE_REASON_SET, row.state_reason),
    acceptedAt: row.accepted_at,
    authorizedAt: row.authorized_at,
    ends: toEnds(row.ends),
    nextWarningAt: row.next_warning_at,
    trouble: toTrouble(row),
    periodMs: row.period_ms,
    phase: row.phase ?? spreadOf(row.id),
    nextRunAt: row.next_run_at,
    nextPullAt: row.next_pull_at,
    toldAt: row.told_at,
    askedAt: row.asked_at,
    doubtedVersion: row.doubted_version,
    upstreamRef: row.upstream_ref,
    purgeDueAt: row.purge_due_at,
    purgeReason: row.purge_reason === null ? null : member(PURGE_REASON_SET, row.purge_reason),
    purgedAt: row.purged_at,
    atEnd: row.at_end === null ? null : member(AT_END_SET, row.at_end),
    upstreamEnd: row.upstream_end === null ? null : member(UPSTREAM_END_SET, row.upstream_end),
    fetchedAt: row.fetched_at,
    lastPull: toLastPull(row),
    freshAsOf: row.fresh_as_of,
    failedRuns: row.failed_runs,
    lastError: row.last_error,
  };
}

function toLastPull(row: Row): LastPull | null {
  const { last_pull_at: at, last_pull_result: result, last_pull_duration_ms: durationMs } = row;
  if (at === null) return null;
  if (result === null || durationMs === null) throw new PerennialError('internal', { field: 'stored value' });
  return { at, result: member(PULL_RESULT_SET, result), durationMs };
}

function toTrouble({ trouble, trouble_since: since, trouble_until: until }: Row): Trouble | null {
  if (trouble === null || since === null || until === null) return null;
  return { kind: member(TROUBLE_SET, trouble), since, until };
}

/** A new authorization as its row. */
export function toRow(authorization: Authorization, fingerprint: string): Insertable<AuthorizationsTable> {
  return {
    id: authorization.id,
    service: authorization.service,
    source: authorization.source,
    network: authorization.network,
    endpoint: JSON.stringify(authorization.endpoint),
    cadence: JSON.stringify(authorization.cadence),
    usage_requested: authorization.usageRequested,
    usage: authorization.usage,
    usage_reason: authorization.usageReason,
    state: authorization.state,
    state_reason: authorization.stateReason,
    accepted_at: authorization.acceptedAt,
    authorized_at: authorization.authorizedAt,
    ...endsColumns(authorization.ends),
    next_warning_at: authorization.nextWarningAt,
    ...troubleColumns(authorization.trouble),
    period_ms: authorization.periodMs,
    phase: authorization.phase,
    next_run_at: authorization.nextRunAt,
    next_pull_at: authorization.nextPullAt,
    told_at: authorization.toldAt,
    asked_at: authorization.askedAt,
    doubted_version: authorization.doubtedVersion,
    upstream_ref: authorization.upstreamRef,
    purge_due_at: authorization.purgeDueAt,
    purge_reason: authorization.purgeReason,
    purged_at: authorization.purgedAt,
    at_end: authorization.atEnd,
    upstream_end: authorization.upstreamEnd,
    fetched_at: authorization.fetchedAt,
    ...lastPullColumns(authorization.lastPull),
    fresh_as_of: authorization.freshAsOf,
    failed_runs: authorization.failedRuns,
    last_error: authorization.lastError,
    fingerprint,
  };
}

/** The columns that a patch names, and no others. */
export function toColumns(patch: AuthorizationPatch): Updateable<AuthorizationsTable> {
  const { endpoint, lastPull, ends, trouble } = patch;
  return {
    ...named('usage', patch.usage),
    ...named('usage_reason', patch.usageReason),
    ...named('state', patch.state),
    ...named('state_reason', patch.stateReason),
    ...(endpoint === undefined ? {} : { endpoint: JSON.stringify(endpoint) }),
    ...named('accepted_at', patch.acceptedAt),
    ...named('authorized_at', patch.authorizedAt),
    ...(ends === undefined ? {} : endsColumns(ends)),
    ...named('next_warning_at', patch.nextWarningAt),
    ...(trouble === undefined ? {} : troubleColumns(trouble)),
    ...named('period_ms', patch.periodMs),
    ...named('phase', patch.phase),
    ...named('next_run_at', patch.nextRunAt),
    ...named('next_pull_at', patch.nextPullAt),
    ...named('upstream_ref', patch.upstreamRef),
    ...named('purge_due_at', patch.purgeDueAt),
    ...named('purge_reason', patch.purgeReason),
    ...named('purged_at', patch.purgedAt),
    ...named('at_end', patch.atEnd),
    ...named('upstream_end', patch.upstreamEnd),
    ...named('fetched_at', patch.fetchedAt),
    ...(lastPull === undefined ? {} : lastPullColumns(lastPull)),
    ...named('fresh_as_of', patch.freshAsOf),
    ...named('failed_runs', patch.failedRuns),
    ...named('last_error', patch.lastError),
  };
}

function endsColumns(ends: Ends): Pick<Insertable<AuthorizationsTable>, 'ends' | 'ends_at'> {
  return { ends: JSON.stringify(ends), ends_at: earliestEnd(ends)?.at ?? null };
}

function troubleColumns(
  trouble: Trouble | null,
): Pick<Insertable<AuthorizationsTable>, 'trouble' | 'trouble_since' | 'trouble_until'> {
  return {
    trouble: trouble?.kind ?? null,
    trouble_since: trouble?.since ?? null,
    trouble_until: trouble?.until ?? null,
  };
}

type LastPullColumns = Pick<
  Insertable<AuthorizationsTable>,
  'last_pull_at' | 'last_pull_result' | 'last_pull_duration_ms'
>;

function lastPullColumns(lastPull: LastPull | null): LastPullColumns {
  return {
    last_pull_at: lastPull?.at ?? null,
    last_pull_result: lastPull?.result ?? null,
    last_pull_duration_ms: lastPull?.durationMs ?? null,
  };
}

function named<K extends keyof Updateable<AuthorizationsTable>>(
  column: K,
  value: Updateable<AuthorizationsTable>[K] | undefined,
): Updateable<AuthorizationsTable> {
  return value === undefined ? {} : { [column]: value };
}
