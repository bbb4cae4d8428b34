import { cadenceOf } from '../../core/cadence.ts';
import { catchUpAt, compareDeadlines, type Deadlines } from '../../core/catch-up.ts';
import { decidePeriod } from '../../core/decide-period.ts';
import { FRESHNESS_LIMITS } from '../../core/freshness-limits.ts';
import { LIMITS, UNITS } from '../../core/limits.ts';
import { decideRepairs, wantedOf } from '../../core/reconcile.ts';
import { slotOf as slotOfJob } from '../../core/slot.ts';
import type { FaultPlan } from './faults.ts';
import { settleLearned } from './learning.ts';
import { PURPOSES } from './random.ts';
import { START } from './settings.ts';
import { type Group, STANDING } from './state.ts';
import { memberAt } from './timeline.ts';
import { draw, FOUND_OVERDUE_MS, slotOf } from './turn.ts';

const { MINUTE_MS, SECOND_MS } = UNITS;
/** What the reconciler restores after all is lost; measured, see docs/scaling.md. */
const RESTORED_PER_SECOND = 2_000;
/** What it looks at when nothing is wrong. */
const LOOKED_AT_PER_SECOND = (LIMITS.reconcilePageSize * SECOND_MS) / LIMITS.reconcilePageEveryMs;

/** What happens to the whole fleet in this minute, if anything does. */
export function befall(group: Group, minute: number): void {
  const { faults, settings } = group;
  const starts = (at: number | null | undefined): boolean => at === minute * MINUTE_MS;
  if (settings.adaptive && (minute * MINUTE_MS) % FRESHNESS_LIMITS.profilesFreshMs === 0)
    settleLearned(group, START + minute * MINUTE_MS);
  if (starts(faults.redisLostAt)) loseRedis(group, minute);
  if (starts(faults.periodChange?.at)) changeCadence(group);
  movePeriods(group, minute);
  for (const [at, { to }] of faults.downtimes.entries()) if (starts(to)) catchUp(group, minute, at);
  for (const step of faults.clockSteps) if (starts(step.from)) stepClocks(group, minute, step);
}

/** All schedules and jobs are gone. The reconciler sees that the queue's mark is gone and makes them anew, one after the other; nothing is run by that. */
function loseRedis(group: Group, minute: number): void {
  const { members, timeline, figures, settings } = group;
  for (let member = 0; member < members.index.length; member += 1) {
    if (members.standing[member] !== STANDING.active) continue;
    timeline.clear(member);
    if (!settings.variant.repairs) continue;
    const seenAt = START + minute * MINUTE_MS + LIMITS.markLookEveryMs;
    const at = seenAt + ((members.index[member] ?? 0) * SECOND_MS) / RESTORED_PER_SECOND;
    const wakesAt = restoredWake({ group, member, now: at });
    figures.repaired += 1;
    timeline.set(member, wakesAt - START);
  }
}

/** When a member wakes again whose schedule was made anew at `now`: at its slot, at its plan where that is earlier, or when the sweep finds it overdue. */
function restoredWake({
  group,
  member,
  now,
}: {
  readonly group: Group;
  readonly member: number;
  readonly now: number;
}): number {
  const { members } = group;
  const id = String(members.index[member]);
  const [periodMs = 0, phase = 0, nextRunAt = now] = [
    members.periodMs[member],
    members.phase[member],
    members.nextRunAt[member],
  ];
  const slot = slotOfJob({ id, everyMs: periodMs, phase, now });
  const plan = { id, state: 'active', usage: 'MULTIPLE', periodMs, phase, nextRunAt } as const;
  const nothing = { purgeDueAt: null, fetchedAt: null, atEnd: null, upstreamEnd: null };
  const wanted = wantedOf({ plan: { ...plan, ...nothing }, slot, toWall: (instant) => instant, now });
  const held = { scheduler: null, pending: { kind: 'gone' }, jobs: [] } as const;
  const found = Math.max(now, nextRunAt + FOUND_OVERDUE_MS);
  return decideRepairs({ wanted, held, now }).reduce((first, repair) => {
    const at = repair.kind === 'restore' ? slot.next : repair.kind === 'add' ? repair.at : found;
    return Math.min(first, at);
  }, found);
}

function changeCadence({ endpoints, faults }: Group): void {
  for (const endpoint of endpoints) {
    if (endpoint === undefined || faults.periodChange === null) continue;
    endpoint.cadence = cadenceOf({ network: endpoint.network, endpoint, cadence: {} }, faults.periodChange.cadence);
  }
}

/** After a change of the table the fleet is gone through at the reconciler's pace, and whoever has another period now is moved to it. */
function movePeriods(group: Group, minute: number): void {
  const { faults, members } = group;
  const since = faults.periodChange === null ? -1 : minute - faults.periodChange.at / MINUTE_MS;
  const perMinute = (LOOKED_AT_PER_SECOND * MINUTE_MS) / SECOND_MS;
  if (since < 0 || since > group.settings.authorizations / perMinute) return;
  for (let member = 0; member < members.index.length; member += 1) {
    if (Math.floor((members.index[member] ?? 0) / perMinute) === since)
      movePeriod({ group, member, now: START + minute * MINUTE_MS });
  }
}

function movePeriod({
  group,
  member,
  now,
}: {
  readonly group: Group;
  readonly member: number;
  readonly now: number;
}): void {
  const { members, endpoints, timeline } = group;
  const endpoint = endpoints[members.endpoint[member] ?? 0];
  if (endpoint === undefined || members.standing[member] !== STANDING.active) return;
  const [nextPullAt, freshAsOf] = [members.nextPullAt[member] ?? Number.NaN, members.freshAsOf[member] ?? Number.NaN];
  const decision = decidePeriod({
    standing: {
      id: String(members.index[member]),
      periodMs: members.periodMs[member] ?? 0,
      phase: members.phase[member] ?? 0,
      nextRunAt: members.nextRunAt[member] ?? now,
      nextPullAt: Number.isNaN(nextPullAt) ? null : nextPullAt,
      freshAsOf: Number.isNaN(freshAsOf) ? null : freshAsOf,
    },
    tokens: {
      accessExpiresAt: members.accessExpiresAt[member] ?? 0,
      accessLifetimeMs: endpoint.accessLifetimeMs,
      refreshExpiresAt: members.refreshExpiresAt[member] ?? null,
    },
    cadence: endpoint.cadence,
    now,
  });
  if (decision.kind === 'keep') return;
  members.periodMs[member] = decision.periodMs;
  members.nextRunAt[member] = decision.next.at;
  timeline.set(member, decision.next.at - START);
}

/** After downtime all that was due wakes at once; where that is much, a catch-up has given each its own instant by then. */
function catchUp(group: Group, minute: number, downtime: number): void {
  const { members, timeline, faults, settings } = group;
  const now = START + minute * MINUTE_MS;
  const from = (faults.downtimes[downtime]?.from ?? 0) / MINUTE_MS;
  const overdue: (Deadlines & { readonly member: number })[] = [];
  for (let missed = from; missed < minute; missed += 1) {
    for (const key of timeline.take(missed)) {
      const member = memberAt(key);
      members.catchingUp[member] = downtime + 1;
      timeline.set(member, now - START);
      if (members.standing[member] === STANDING.active) overdue.push(deadlinesOf(group, member));
    }
  }
  // A group ranks its own: in the whole fleet the others lie evenly between them.
  const times = settings.authorizations / Math.max(1, members.index.length);
  const backlog = Math.round(overdue.length * times);
  if (backlog <= LIMITS.catchUpAbove || !settings.variant.catchUpSpread) return;
  overdue.sort(compareDeadlines({ now, urgentBefore: now + 2 * LIMITS.catchUpWithinMs }));
  for (const [rank, { member }] of overdue.entries()) {
    const slot = slotOf({ group, member, now });
    const at = catchUpAt({ rank: rank * times, backlog, spacingMs: LIMITS.catchUpSpacingMs, slot, now });
    members.nextRunAt[member] = at;
    timeline.set(member, at - START);
  }
}

function deadlinesOf({ members, endpoints }: Group, member: number): Deadlines & { readonly member: number } {
  const freshAsOf = members.freshAsOf[member] ?? Number.NaN;
  return {
    member,
    id: String(members.index[member]),
    freshAsOf: Number.isNaN(freshAsOf) ? null : freshAsOf,
    lateAfterMs: endpoints[members.endpoint[member] ?? 0]?.cadence.lateAfterMs ?? null,
    accessExpiresAt: members.accessExpiresAt[member] ?? null,
    refreshExpiresAt: members.refreshExpiresAt[member] ?? null,
  };
}

/** Workers whose clocks are ahead find jobs due that are not. */
function stepClocks(group: Group, minute: number, step: FaultPlan['clockSteps'][number]): void {
  const { members, timeline } = group;
  const now = minute * MINUTE_MS;
  for (let member = 0; member < members.index.length; member += 1) {
    const at = timeline.wakeOf(member);
    if (at <= now || at > now + step.byMs || members.standing[member] !== STANDING.active) continue;
    if (draw({ group, member, purpose: PURPOSES.steppedClock }) < step.share) timeline.set(member, now);
  }
}
