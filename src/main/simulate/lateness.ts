import { UNITS } from '../../core/limits.ts';
import type { Cause } from './figures.ts';
import { count } from './histogram.ts';
import { START } from './settings.ts';
import { DELAYS, type Group, STANDING } from './state.ts';
import type { Turn } from './turn.ts';

const { SECOND_MS, MINUTE_MS, HOUR_MS } = UNITS;
/** What became due while no worker was there may be late by that, and for so long after. */
const CATCH_UP_MS = 6 * HOUR_MS;

/** Counts a run by its minute, and how much later than planned it began. */
export function noteRun({
  turn: { group, member, endpoint, now },
  plannedAt,
}: {
  readonly turn: Turn;
  readonly plannedAt: number;
}): void {
  const { figures, members, faults } = group;
  const of = figures.networks[endpoint.network];
  const minute = Math.floor((now - START) / MINUTE_MS);
  const isFirst = Number.isNaN(members.pulledAt[member] ?? Number.NaN);
  const failed =
    members.delayed[member] !== DELAYS.none || members.failedRuns[member] !== 0 || members.trouble[member] !== 0;
  const makesUp = failed || members.catchingUp[member] !== 0;
  const runs = isFirst ? figures.firstRuns : makesUp ? figures.makingUp : figures.runs;
  runs[minute] = (runs[minute] ?? 0) + 1;
  of.runs += 1;
  if (now >= (members.accessExpiresAt[member] ?? 0)) of.tokenGaps += 1;
  count(of.lateness, (now - plannedAt) / SECOND_MS);
  const missed = members.catchingUp[member] ?? 0;
  if (missed === 0) return;
  members.catchingUp[member] = 0;
  const { to } = faults.downtimes[missed - 1] ?? { to: 0 };
  figures.catchUpMs[missed - 1] = Math.max(figures.catchUpMs[missed - 1] ?? 0, now - START - to);
}

/** Counts how old the records had become that a complete pull replaces, and how long what changed at the source had waited. */
export function noteFresh({
  turn: { group, member, endpoint, now },
  changedAt,
}: {
  readonly turn: Turn;
  readonly changedAt: number;
}): void {
  const before = group.members.pulledAt[member] ?? Number.NaN;
  if (Number.isNaN(before)) return;
  const of = group.figures.networks[endpoint.network];
  of.pulls += 1;
  count(of.freshness, (now - before) / SECOND_MS);
  of.watchedHours += (now - before) / HOUR_MS;
  if (changedAt < now) of.waitedHours += ((now - changedAt) / HOUR_MS) ** 2 / 2;
  noteLate({ group, member, now });
}

/** At the end: records that are late now and that nobody pulled. */
export function noteUnpulled(group: Group): void {
  const now = START + group.timeline.minutes * MINUTE_MS;
  for (let member = 0; member < group.members.index.length; member += 1) {
    if (group.members.standing[member] === STANDING.active) noteLate({ group, member, now });
  }
}

function noteLate({ group, member, now }: Pick<Turn, 'group' | 'member' | 'now'>): void {
  const { members, endpoints, figures } = group;
  const endpoint = endpoints[members.endpoint[member] ?? 0];
  if (endpoint === undefined) return;
  const lateAt = (members.pulledAt[member] ?? Number.NaN) + endpoint.cadence.lateAfterMs;
  if (!(now > lateAt)) return;
  const of = figures.networks[endpoint.network];
  of.late[causeOf({ group, member, lateAt: lateAt - START })] += 1;
  of.latestMs = Math.max(of.latestMs, now - lateAt);
}

function causeOf({
  group: { members, faults },
  member,
  lateAt,
}: Pick<Turn, 'group' | 'member'> & { readonly lateAt: number }): Cause {
  if (members.delayed[member] === DELAYS.upstream) return 'upstream';
  const wasAway = faults.downtimes.some(({ from, to }) => lateAt >= from && lateAt < to + CATCH_UP_MS);
  return wasAway ? 'downtime' : 'unexplained';
}
