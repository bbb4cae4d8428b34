import type { CalendarView, EventView, SourceStateView } from '../contract/feed.ts';
import type { FleetView } from '../contract/fleet.ts';
import type { TypesView } from '../contract/records.ts';
import type { AuthorizationView } from '../contract/wire.ts';

const SECONDS = { minute: 60, hour: 3_600, day: 86_400 } as const;

const USAGE_REASONS: Readonly<Record<string, string>> = {
  no_refresh_token: 'the source sent no refresh token',
  endpoint_not_refreshable: 'the endpoint cannot refresh',
};

const ENDS: Readonly<Record<NonNullable<AuthorizationView['endsBecause']>, string>> = {
  refreshToken: 'refresh token',
  maxAuthorization: 'maximum authorization period',
  accessGrant: 'grant at the source',
  consent: 'consent',
};

const PURGE_REASONS: Readonly<Record<NonNullable<AuthorizationView['purgeReason']>, string>> = {
  one_time_expired: 'ONE_TIME, its access token ends',
  requested: 'asked for',
  retention: 'retention rule of its source',
};

const AT_ENDS: Readonly<Record<NonNullable<AuthorizationView['atEnd']>, string>> = {
  nothing: 'nothing is done at the source',
  revoke: 'its tokens are revoked at the source',
  expunge: 'its data at the source is expunged, its tokens are revoked',
};

const TROUBLES: Readonly<Record<NonNullable<AuthorizationView['trouble']>['kind'], string>> = {
  misconfigured: 'the source refuses our client',
  outage: 'the token endpoint is away',
  throttled: 'the token endpoint throttles us',
  unsure: 'a refresh was sent and its outcome is unknown',
};

/** Rows as aligned columns, two spaces apart, a line each; the first row is the heading. */
export function table(rows: readonly (readonly string[])[]): string {
  const plain = rows.map((row) => row.map(printable));
  const widths: number[] = [];
  for (const row of plain) for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length);
  return plain
    .map(
      (row) =>
        `${row
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

/** One authorization a line, for `list`. */
export function listOf(views: readonly AuthorizationView[]): string {
  if (views.length === 0) return 'no authorizations\n';
  const rows = views.map((view) => [
    view.id,
    `${view.state}${view.state === 'active' ? '' : ` (${view.why})`}`,
    usageWord(view),
    view.network,
    view.nextRunAt ?? '-',
    view.lastPull === null ? '-' : view.lastPull.result,
    ageWord(view),
  ]);
  return table([['ID', 'STATE', 'USAGE', 'NETWORK', 'NEXT RUN', 'LAST PULL', 'FRESHNESS'], ...rows]);
}

/** Who ends when, for `calendar`. */
export function calendarOf({ ending, more, waiting }: CalendarView): string {
  const rows = ending.map((view) => [view.id, view.endsAt ?? '-', endWord(view.endsBecause), view.source]);
  const list = rows.length === 0 ? 'nobody ends in this time\n' : table([['ID', 'ENDS', 'BECAUSE', 'SOURCE'], ...rows]);
  const rest = more === 0 ? '' : `and ${more} more in this time\n`;
  const dead =
    waiting === 0
      ? ''
      : `${waiting} ended already and wait for their patient: perennial list --state needs_reauthorization\n`;
  return `${list}${rest}${dead}`;
}

/** The event feed, for `events`. */
export function eventsOf(events: readonly EventView[]): string {
  if (events.length === 0) return 'no events\n';
  const rows = events.map(({ cursor, at, kind, authorizationId, source, reason, daysLeft }) => [
    String(cursor),
    at,
    kind,
    authorizationId ?? '-',
    source,
    `${reason ?? '-'}${daysLeft === null ? '' : `, ${daysLeft} d left`}`,
  ]);
  return table([['CURSOR', 'AT', 'EVENT', 'AUTHORIZATION', 'SOURCE', 'REASON'], ...rows]);
}

/** Sources in trouble, for `sources`. */
export function sourcesOf(sources: readonly SourceStateView[]): string {
  if (sources.length === 0) return 'all sources are well\n';
  const rows = sources.map(({ source, condition, since, lastAt }) => [source, condition, since, lastAt]);
  return table([['SOURCE', 'CONDITION', 'SINCE', 'LAST SEEN'], ...rows]);
}

/** What is known of each resource type, for `types`. */
export function typesOf({ types, cursor, pulling }: TypesView): string {
  const rows = types.map(({ resourceType, result, held, suspected, fullAt, knownUntil }) => [
    resourceType,
    result ?? '-',
    String(held),
    suspected === null ? '-' : `${suspected.count} since ${suspected.since}`,
    fullAt ?? '-',
    knownUntil ?? '-',
  ]);
  const heading = ['TYPE', 'LAST PULL', 'HELD', 'SUSPECTED REMOVALS', 'READ IN FULL', 'KNOWN UNTIL'];
  const list = rows.length === 0 ? 'nothing pulled yet\n' : table([heading, ...rows]);
  return `${list}as of cursor ${cursor}${pulling ? '; a pull has not ended yet' : ''}\n`;
}

/** All authorizations together, for `status` without an id. */
export function fleetOf({ at, authorizations, freshness, purges, sourcesInTrouble }: FleetView): string {
  const counts = Object.entries(authorizations).filter(([, count]) => count > 0);
  const { days, ended, lagSeconds, oldestUnpurgedSeconds, alertAfterSeconds, alert } = purges;
  const lag = lagSeconds === null ? '' : `, lag p50 ${lagTime(lagSeconds.p50)}, p99 ${lagTime(lagSeconds.p99)}`;
  const oldest = oldestUnpurgedSeconds === null ? 'none is due' : `${lagTime(oldestUnpurgedSeconds)} past its deadline`;
  const limit = duration(alertAfterSeconds);
  return table([
    ['at', at],
    ['authorizations', counts.length === 0 ? 'none' : counts.map(([state, count]) => `${count} ${state}`).join(', ')],
    ...freshness.map(({ network, late, ageSeconds: { p50, p99 } }) => [
      network,
      `${late === 0 ? 'none late' : `${late} LATE`}, records ${duration(p50)} old (p50), ${duration(p99)} (p99)`,
    ]),
    ['purges', `${ended} in the last ${days} days${lag}`],
    ['oldest unpurged', oldest],
    ['purge alert', alert ? `ALERT: a purge is more than ${limit} late` : `none (set from ${limit} on)`],
    ['sources', sourcesInTrouble === 0 ? 'all are well' : `${sourcesInTrouble} in trouble: perennial sources`],
  ]);
}

/** Below a minute a lag is told by the tenth. */
function lagTime(seconds: number): string {
  return seconds < SECONDS.minute ? `${seconds.toFixed(1)} s` : duration(seconds);
}

/** A few lines on one authorization, for `status` and whatever answers with one. No token is in a view. */
export function statusOf(view: AuthorizationView): string {
  const rows: string[][] = [
    ['id', view.id],
    ['state', `${view.state} (${view.why})`],
    ['usage', usageLine(view)],
    ['network', view.network],
    ['source', `${view.source}, endpoint ${view.endpoint.id}${named(view.endpoint.name)}`],
    ['next run', view.nextRunAt === null ? 'none' : `${view.nextRunAt}${every(view.periodSeconds)}`],
    ['last pull', lastPullLine(view)],
    ['freshness', freshnessLine(view)],
  ];
  if (view.endsAt !== null) rows.push(['ends', `${view.endsAt} (${endWord(view.endsBecause)})`]);
  if (view.trouble !== null) rows.push(['tokens', `${TROUBLES[view.trouble.kind]}, since ${view.trouble.since}`]);
  if (view.purgeDueAt !== null) rows.push(['purge due', `${view.purgeDueAt}${because(view.purgeReason)}`]);
  if (view.atEnd !== null) rows.push(['at its end', AT_ENDS[view.atEnd]]);
  if (view.purgedAt !== null) rows.push(['purged', view.purgedAt]);
  if (view.failedRuns > 0) rows.push(['failed runs', `${view.failedRuns} in a row`]);
  if (view.lastError !== null) rows.push(['last error', view.lastError]);
  return table(rows);
}

function because(reason: AuthorizationView['purgeReason']): string {
  return reason === null ? '' : ` (${PURGE_REASONS[reason]})`;
}

function endWord(kind: AuthorizationView['endsBecause']): string {
  return kind === null ? '-' : ENDS[kind];
}

function usageWord({ usage, usageRequested }: AuthorizationView): string {
  return usage === usageRequested ? usage : `${usage} (asked ${usageRequested})`;
}

function usageLine({ usage, usageRequested, usageReason }: AuthorizationView): string {
  if (usage === usageRequested) return `${usage}, as asked for`;
  return `${usage}, asked for ${usageRequested}: ${USAGE_REASONS[usageReason] ?? usageReason}`;
}

function lastPullLine({ lastPull }: AuthorizationView): string {
  if (lastPull === null) return 'none yet';
  return `${lastPull.result} at ${lastPull.at}, took ${(lastPull.durationMs / 1_000).toFixed(1)} s`;
}

function freshnessLine({ freshness, state }: AuthorizationView): string {
  if (state === 'purging' || state === 'purged') return 'nothing is stored any more';
  const promise = `late after ${duration(freshness.promiseSeconds)}`;
  if (freshness.asOf === null || freshness.ageSeconds === null) return `nothing stored yet, ${promise}`;
  const late = freshness.late ? 'LATE: ' : '';
  return `${late}as of ${freshness.asOf}, ${duration(freshness.ageSeconds)} old, ${promise}`;
}

function ageWord({ freshness }: AuthorizationView): string {
  if (freshness.ageSeconds === null) return '-';
  return `${duration(freshness.ageSeconds)}${freshness.late ? ' LATE' : ''}`;
}

function every(periodSeconds: number | null): string {
  return periodSeconds === null ? '' : `, every ${duration(periodSeconds)}`;
}

function named(name: string | undefined): string {
  return name === undefined ? '' : ` (${name})`;
}

/** A length of time in the unit that fits: `5 min`, `1.5 h`, `3 d`. */
export function duration(seconds: number): string {
  if (seconds < SECONDS.minute) return `${Math.round(seconds)} s`;
  if (seconds < SECONDS.hour) return `${Math.round(seconds / SECONDS.minute)} min`;
  if (seconds < 2 * SECONDS.day) return `${(seconds / SECONDS.hour).toFixed(1).replace('.0', '')} h`;
  return `${(seconds / SECONDS.day).toFixed(1).replace('.0', '')} d`;
}

/** Names come from callers: a control character in one must not steer somebody's terminal. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}]/gu, '?');
}
