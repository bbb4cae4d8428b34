import { decidePull } from '../../core/decide-pull.ts';
import { decideRun } from '../../core/decide-run.ts';
import { nextRunOf } from '../../core/next-run.ts';
import { enter } from './doors.ts';
import { firstChange } from './habits.ts';
import { noteFresh, noteRun } from './lateness.ts';
import { adaptivePlanOf, learn, plannedPull } from './learning.ts';
import { PURPOSES } from './random.ts';
import { START } from './settings.ts';
import { DELAYS, periodAt, STANDING } from './state.ts';
import { getToken } from './tokens.ts';
import { draw, FOUND_OVERDUE_MS, slotOf, type Turn, wakeAt } from './turn.ts';
import { pullAnswer } from './upstream.ts';
import { putBack, putBackFor, putBackFromGate, type Wait } from './waits.ts';

/** What `flows/refresh-and-pull.ts` does when the queue wakes an authorization: the same decisions in the same order, on columns instead of a store. */
export function wake({ group, member, now }: Pick<Turn, 'group' | 'member' | 'now'>): void {
  const { members, endpoints, timeline, figures, settings } = group;
  const endpoint = endpoints[members.endpoint[member] ?? 0];
  if (endpoint === undefined || members.standing[member] === STANDING.dead) return;
  members.wakes[member] = (members.wakes[member] ?? 0) + 1;
  const isFirst = members.standing[member] === STANDING.waiting;
  const seen = now + clockErrorOf({ group, member, now });
  if (isFirst) accept({ group, member, endpoint, now: seen });
  const slot = slotOf({ group, member, now: seen });
  const nextRunAt = members.nextRunAt[member] ?? Number.NaN;
  const run = decideRun({ nextRunAt, slot, askedFor: false, now: seen });
  if (run.kind === 'not_yet') {
    figures.sentBack += 1;
    // The sweep of a worker whose clock is right finds a run that another one's clock holds back.
    const foundAt = settings.variant.repairs ? Math.max(now, nextRunAt + FOUND_OVERDUE_MS) : Number.POSITIVE_INFINITY;
    timeline.set(member, Math.min(Math.min(slot, run.until) - seen + now, foundAt) - START);
    return;
  }
  const entered = enter({ group, member, endpoint, now });
  const tokensAway = entered.kind === 'open' ? entered.tokensAway : null;
  const turn: Turn = { group, member, endpoint, now, seen, slot, tokensAway };
  if (entered.kind === 'closed') {
    putBackFromGate(turn, entered.retryAfterMs);
    return;
  }
  noteRun({ turn, plannedAt: nextRunAt });
  const token = getToken(turn);
  if (token.kind === 'dead') {
    members.standing[member] = STANDING.dead;
    figures.networks[endpoint.network].died += 1;
    return;
  }
  if (token.kind === 'none') putBackFor({ turn, wait: token.wait });
  else pullIfDue(turn, token.later);
}

/** The records, if they are due, and then the next run. `later` is a refresh that failed beside a token that still serves. */
function pullIfDue(turn: Turn, later: Wait | null): void {
  const { group, member, endpoint, seen, slot } = turn;
  const { members } = group;
  const lastPullAt = members.lastPullAt[member] ?? Number.NaN;
  const result = members.lastPullFailed[member] === 1 ? 'failed' : 'complete';
  const pull = decidePull({
    authorization: {
      state: 'active',
      usage: 'MULTIPLE',
      fetchedAt: null,
      purgeDueAt: null,
      lastPull: Number.isNaN(lastPullAt) ? null : { at: lastPullAt, result, durationMs: 0 },
    },
    cadence: endpoint.cadence,
    askedFor: false,
    nextRunAt: slot,
    adaptive: adaptivePlanOf(turn),
    now: seen,
  });
  if (pull.kind === 'pull') {
    const answer = pullAnswer(turn);
    members.lastPullAt[member] = seen;
    members.lastPullFailed[member] = answer === 'complete' ? 0 : 1;
    if (answer !== 'complete') {
      putBack(turn);
      return;
    }
    pulled(turn);
  }
  members.failedRuns[member] = 0;
  if (later === null) plan(turn, pull.kind === 'pull');
  else putBackFor({ turn, wait: later });
}

/** A complete pull: what was seen, how old it had become, and what an adaptive cadence learns of it. */
function pulled(turn: Turn): void {
  const { group, member, endpoint, now, seen } = turn;
  const { members, settings } = group;
  const before = members.pulledAt[member] ?? Number.NaN;
  const changedAt = Number.isNaN(before)
    ? Number.POSITIVE_INFINITY
    : START +
      firstChange({
        habit: endpoint.habit,
        seed: settings.seed,
        member: members.index[member] ?? 0,
        after: before - START,
        before: now - START,
      });
  noteFresh({ turn, changedAt });
  if (!Number.isNaN(before)) learn({ endpoint, from: before, to: now, changed: changedAt < now });
  members.freshAsOf[member] = seen;
  members.pulledAt[member] = now;
  members.delayed[member] = DELAYS.none;
}

/** The next run, and the wake that goes with it; some jobs are lost on their way. */
function plan(turn: Turn, pulledNow: boolean): void {
  const { group, member, endpoint, now, seen } = turn;
  const { members } = group;
  const freshAsOf = members.freshAsOf[member] ?? Number.NaN;
  if (pulledNow) members.nextPullAt[member] = plannedPull(turn, freshAsOf) ?? Number.NaN;
  const nextPullAt = members.nextPullAt[member] ?? Number.NaN;
  const next = nextRunOf({
    // The refresh may have changed the period.
    slot: slotOf({ group, member, now: seen }),
    nextPullAt: Number.isNaN(nextPullAt) ? null : nextPullAt,
    freshAsOf: Number.isNaN(freshAsOf) ? null : freshAsOf,
    lateAfterMs: endpoint.cadence.lateAfterMs,
    now: seen,
  });
  members.nextRunAt[member] = next.at;
  wakeAt({ group, member, at: next.at - seen + now });
}

function accept({
  group: { members },
  member,
  endpoint,
  now,
}: Pick<Turn, 'group' | 'member' | 'endpoint' | 'now'>): void {
  members.standing[member] = STANDING.active;
  members.periodMs[member] = periodAt(endpoint);
  members.nextRunAt[member] = now;
  members.accessExpiresAt[member] = now + endpoint.accessLifetimeMs;
  members.refreshExpiresAt[member] = now + endpoint.refreshLifetimeMs;
}

/** How wrong the clock of the worker is that has this member now. */
function clockErrorOf({ group, member, now }: Pick<Turn, 'group' | 'member' | 'now'>): number {
  for (const { from, to, byMs, share } of group.faults.clockSteps) {
    const at = now - START;
    if (at >= from && at < to && draw({ group, member, purpose: PURPOSES.steppedClock }) < share) return byMs;
  }
  return 0;
}
