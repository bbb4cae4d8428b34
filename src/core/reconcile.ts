import { type Authorization, endsAfterFetch } from './authorization.ts';
import { LIMITS } from './limits.ts';
import type { Found, Held, HeldJob } from './ports/census.ts';
import type { AuthorizationQueue } from './ports/queue.ts';
import type { Slot } from './slot.ts';

/** How the queue can differ from the store. */
export type Drift = 'missing' | 'extra' | 'stale' | 'misphased' | 'duplicate';

/** Why something is repaired, each with the drift that it counts as. */
export const REPAIR_REASONS = {
  no_scheduler: 'missing',
  no_pending_job: 'missing',
  no_run_job: 'missing',
  no_activate_job: 'missing',
  no_fetch_job: 'missing',
  no_purge_job: 'missing',
  other_period: 'stale',
  other_phase: 'misphased',
  pending_at_wrong_time: 'misphased',
  purge_at_wrong_time: 'misphased',
  not_standing: 'extra',
  nothing_to_do: 'extra',
  pending_twice: 'duplicate',
} as const satisfies Readonly<Record<string, Drift>>;
export type RepairReason = keyof typeof REPAIR_REASONS;

/** One step that brings the queue nearer to the store. */
export type Repair = { readonly authorizationId: string; readonly reason: RepairReason } & (
  | { readonly kind: 'restore'; readonly periodMs: number; readonly phase: number }
  | { readonly kind: 'unschedule' }
  /** Everything that names it goes: the store does not know it, or has purged it. */
  | { readonly kind: 'forget' }
  /** `at` is wall time; one that has passed is at once. */
  | { readonly kind: 'add'; readonly queue: AuthorizationQueue; readonly at: number }
  | { readonly kind: 'drop'; readonly queue: AuthorizationQueue; readonly jobId: string }
);

/** What the queue's side of an authorization follows from. */
export type Plan = Pick<
  Authorization,
  'id' | 'state' | 'usage' | 'periodMs' | 'phase' | 'nextRunAt' | 'purgeDueAt' | 'fetchedAt' | 'atEnd' | 'upstreamEnd'
>;

/** What the queue should hold of one authorization; wall milliseconds. */
export type Wanted = {
  readonly id: string;
  /** Purged: nothing may name it. */
  readonly gone: boolean;
  readonly repeating: { readonly periodMs: number; readonly phase: number; readonly slot: Slot } | null;
  /** A run before the next slot, which the repeating job does not come for. */
  readonly runAt: number | null;
  readonly activate: boolean;
  readonly fetch: boolean;
  /** When its exchange or its fetch is due; a plan behind now is now. */
  readonly onceAt: number;
  /** The instant of its purge; one that has passed is the sweep's. */
  readonly purgeAt: number | null;
};

/** What the queue should hold of an authorization. `toWall` turns the store's instants into wall time; `slot` is that of its repeating job. */
export function wantedOf({
  plan,
  slot,
  toWall,
  now,
}: {
  readonly plan: Plan;
  readonly slot: Slot | null;
  readonly toWall: (instant: number) => number;
  readonly now: number;
}): Wanted {
  const { id, state, usage, periodMs, phase, nextRunAt, purgeDueAt, fetchedAt } = plan;
  const stands = state === 'active' && usage === 'MULTIPLE' && periodMs !== null && slot !== null;
  const plannedAt = nextRunAt === null ? null : toWall(nextRunAt);
  // A wait that would end behind the purge has no job of its own (flows/put-back.ts).
  const isLeftToPurge = nextRunAt !== null && purgeDueAt !== null && nextRunAt >= purgeDueAt;
  const beforeSlot = stands && plannedAt !== null && plannedAt < slot.next - LIMITS.runEarlyMaxMs;
  return {
    id,
    gone: state === 'purged',
    repeating: stands ? { periodMs, phase, slot } : null,
    runAt: beforeSlot ? plannedAt : null,
    activate: state === 'pending' && !isLeftToPurge,
    fetch: state === 'active' && usage === 'ONE_TIME' && !isLeftToPurge && (fetchedAt === null || endsAfterFetch(plan)),
    onceAt: Math.max(now, plannedAt ?? now),
    purgeAt: state === 'purged' || purgeDueAt === null ? (state === 'purging' ? now : null) : toWall(purgeDueAt),
  };
}

/** What is missing, stale or misphased of one authorization, as steps. What is overdue is not looked for here: the sweep and the catch-up run it. */
export function decideRepairs({
  wanted,
  held,
  now,
}: {
  readonly wanted: Wanted;
  readonly held: Held;
  readonly now: number;
}): readonly Repair[] {
  const { id: authorizationId, repeating, activate, fetch, purgeAt } = wanted;
  const repairs: Repair[] = [];
  const reason = repeating === null ? null : wrongWithScheduler({ slot: repeating.slot, held, now });
  if (repeating !== null && reason !== null) repairs.push({ kind: 'restore', authorizationId, reason, ...repeating });
  const has = (queue: AuthorizationQueue) => held.jobs.some((job) => job.queue === queue);
  if (activate && !has('activate'))
    repairs.push({ kind: 'add', queue: 'activate', at: wanted.onceAt, authorizationId, reason: 'no_activate_job' });
  if (fetch && !has('fetch-once'))
    repairs.push({ kind: 'add', queue: 'fetch-once', at: wanted.onceAt, authorizationId, reason: 'no_fetch_job' });
  const kept: Held = reason === null ? held : { ...held, pending: { kind: 'gone' } };
  if (lacksRun({ wanted, held: kept, now }))
    repairs.push({
      kind: 'add',
      queue: 'refresh-and-pull',
      at: wanted.runAt ?? now,
      authorizationId,
      reason: 'no_run_job',
    });
  if (purgeAt !== null && purgeAt > now) {
    const job = held.jobs.find(({ queue }) => queue === 'purge');
    const wrong = job === undefined ? 'no_purge_job' : isOff(job, purgeAt) ? 'purge_at_wrong_time' : null;
    if (wrong !== null) repairs.push({ kind: 'add', queue: 'purge', at: purgeAt, authorizationId, reason: wrong });
  }
  return repairs;
}

function wrongWithScheduler({
  slot,
  held: { scheduler, pending },
  now,
}: {
  readonly slot: Slot;
  readonly held: Held;
  readonly now: number;
}): RepairReason | null {
  if (scheduler === null) return 'no_scheduler';
  if (scheduler.every !== slot.every) return 'other_period';
  if (scheduler.offset !== slot.offset || (scheduler.next - slot.offset) % slot.every !== 0) return 'other_phase';
  if (pending.kind === 'gone') return 'no_pending_job';
  // One that is said to wait or run before its time is in no list of BullMQ's any more.
  if (pending.kind === 'here')
    return scheduler.next > now + LIMITS.reconcileToleranceMs * 2 ? 'pending_at_wrong_time' : null;
  const off = Math.abs(pending.wakesAt - scheduler.next) > LIMITS.reconcileToleranceMs;
  const far = scheduler.next > now + slot.every + LIMITS.reconcileToleranceMs;
  return off || far ? 'pending_at_wrong_time' : null;
}

/** Whether a run before the next slot has no job that comes for it. One that is here already, or wakes earlier, puts itself back to the plan. */
function lacksRun({
  wanted: { runAt },
  held,
  now,
}: {
  readonly wanted: Wanted;
  readonly held: Held;
  readonly now: number;
}): boolean {
  if (runAt === null || runAt <= now) return false;
  const { pending } = held;
  const wakes = (at: number | null) => at === null || at <= runAt + LIMITS.reconcileToleranceMs;
  if (pending.kind === 'here' || (pending.kind === 'delayed' && wakes(pending.wakesAt))) return false;
  return !held.jobs.some(({ queue, wakesAt }) => queue === 'refresh-and-pull' && wakes(wakesAt));
}

function isOff({ wakesAt }: HeldJob, at: number): boolean {
  return wakesAt !== null && Math.abs(wakesAt - at) > LIMITS.reconcileToleranceMs;
}

/** What to do about one thing that the queue holds: null where it is as it should be. `wanted` is null for an authorization that the store does not know. */
export function decideFound({
  found,
  wanted,
  now,
}: {
  readonly found: Found;
  readonly wanted: Wanted | null;
  readonly now: number;
}): Repair | null {
  const { authorizationId } = found;
  const standing = wanted !== null && wanted.repeating !== null;
  const isJob = found.kind === 'job';
  if (wanted === null || wanted.gone)
    return { kind: 'forget', authorizationId, reason: isJob ? 'nothing_to_do' : 'not_standing' };
  if (!isJob) return standing ? null : { kind: 'unschedule', authorizationId, reason: 'not_standing' };
  const { queue, jobId, wakesAt } = found;
  const drop = (reason: RepairReason): Repair => ({ kind: 'drop', queue, jobId, authorizationId, reason });
  if (queue !== 'refresh-and-pull') return isWanted(queue, wanted) ? null : drop('nothing_to_do');
  if (!standing) return drop('nothing_to_do');
  if (found.own || wanted.runAt !== null) return null;
  // It decides for itself in a moment, and a wait for a lease is no doubling.
  return wakesAt <= now + LIMITS.reconcileSoonMs ? null : drop('pending_twice');
}

function isWanted(queue: AuthorizationQueue, wanted: Wanted): boolean {
  if (queue === 'activate') return wanted.activate;
  return queue === 'fetch-once' ? wanted.fetch : wanted.purgeAt !== null;
}
