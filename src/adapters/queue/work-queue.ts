import { PerennialError } from '../../core/errors.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Added, AuthorizationQueue, QueueName, Repeating, WorkQueue } from '../../core/ports/queue.ts';
import type { Log } from '../../core/ports/telemetry.ts';
import { type Slot, slotOf } from '../../core/slot.ts';
import type { AnyQueue, QueueBackend } from './bullmq-parts.ts';
import { coalesced } from './coalesce.ts';
import { type QueueAt, queuesOf } from './layout.ts';
import { tellerOf } from './told-seldom.ts';
import { jobIdOf, REPEATING } from './trail.ts';
import { translated, usableOn } from './usable.ts';

/** Looks at a job that workers and other producers move at the same moment, before the queue itself is blamed. */
const ADD_TRIES = 5;
/** Why a job runs that waits for no plan; news and doubts stand in the store, and a plan is made of them. */
const WISH = 'asked_for';
/** Authorizations that share one pass over the events: Redis answers nobody while it looks for them on a page. */
const SWEPT_TOGETHER_MAX = 200;

/** One BullMQ queue, opened: its name, its shard, and itself. */
export type OpenQueue = QueueAt & { readonly queue: AnyQueue };

/** The queues of one process, opened. */
export type OpenWorkQueue = WorkQueue & {
  /** All of them: intake, and those of authorizations shard by shard. */
  readonly queues: readonly OpenQueue[];
  /** The queue of that name in the authorization's shard. */
  readonly queueOf: (name: AuthorizationQueue, authorizationId: string) => AnyQueue;
  /** Resolves when every queue can be used. */
  readonly ready: () => Promise<void>;
};

/** The WorkQueue port over BullMQ. @throws PerennialError `queue_unreachable` from every call while the backend is away. */
export function createWorkQueue({
  backend,
  clock,
  log,
}: {
  readonly backend: QueueBackend;
  readonly clock: Clock;
  readonly log: Log;
}): OpenWorkQueue {
  const tell = tellerOf({ log, clock, event: 'queue_error' });
  const queues = queuesOf(backend.layout).map((at) => ({ ...at, queue: openQueue({ backend, at, tell }) }));
  const queueOf = finderOf({ backend, queues });
  const usable = usableOn(backend);
  const sweep = coalesced({ pass: backend.trail.sweep, idsMax: SWEPT_TOGETHER_MAX });
  const traces = coalesced({ pass: backend.trail.traces, idsMax: SWEPT_TOGETHER_MAX });
  const slotNow = ({ authorizationId: id, periodMs, phase }: Repeating): Slot =>
    slotOf({
      id,
      everyMs: clock.toWallMs(periodMs),
      now: clock.wallNow(),
      ...(phase === undefined ? {} : { phase }),
    });
  return {
    queues,
    queueOf,
    ready: () =>
      translated(async () => {
        await Promise.all(queues.map(({ queue }) => queue.waitUntilReady()));
        // Before anything is added: whoever purges looks where a note says that something may lie.
        await backend.layouts?.use({ takes: false });
      }),
    schedule: (job) => {
      const { authorizationId } = job;
      return usable(() => upsert({ queue: queueOf(REPEATING, authorizationId), authorizationId, slot: slotNow(job) }));
    },
    nextRunAt: (job) => clock.fromWall(slotNow(job).next),
    isScheduled: (authorizationId) =>
      usable(async () => (await queueOf(REPEATING, authorizationId).getJobScheduler(authorizationId)) !== undefined),
    add: ({ queue: name, authorizationId, delayMs = 0, reason }) => {
      const queue = queueOf(name, authorizationId);
      const delayWallMs = Math.round(clock.toWallMs(delayMs));
      return usable(() => addOnce({ queue, authorizationId, delayWallMs, reason }));
    },
    unschedule: (authorizationId) =>
      usable(async () => {
        await queueOf(REPEATING, authorizationId).removeJobScheduler(authorizationId);
      }),
    remove: (authorizationId) =>
      usable(async () => {
        await backend.trail.removeJobs([authorizationId]);
      }),
    sweep: (authorizationId) => usable(() => sweep(authorizationId, { jobs: 0, events: 0 })),
    traces: (authorizationId) => usable(() => traces(authorizationId, 0)),
    ping: () => usable(() => pingEach(queues)),
    close: async () => {
      await Promise.all(queues.map(({ queue }) => queue.close()));
    },
  };
}

function openQueue({
  backend,
  at,
  tell,
}: {
  readonly backend: QueueBackend;
  readonly at: QueueAt;
  readonly tell: (queue: QueueName) => void;
}): AnyQueue {
  const queue = backend.createQueue(at);
  queue.on('error', () => tell(at.name));
  return queue;
}

function finderOf({
  backend,
  queues,
}: {
  readonly backend: QueueBackend;
  readonly queues: readonly OpenQueue[];
}): OpenWorkQueue['queueOf'] {
  const byPlace = new Map(queues.map(({ name, shard, queue }) => [`${shard.prefix}:${name}`, queue]));
  return (name, authorizationId) => {
    const queue = byPlace.get(`${backend.layout.shardOf(authorizationId).prefix}:${name}`);
    if (queue === undefined) throw new PerennialError('internal', { field: 'queue' });
    return queue;
  };
}

/**
 * A bare change of `every` runs every scheduler at once (measured: 500 of 500); with `startDate` at the next hashed slot none does. A scheduler whose
 * slot has passed may have lost its pending job, and BullMQ never notices (peers, F-10): written again, it goes on at its next slot.
 */
async function upsert({
  queue,
  authorizationId,
  slot: { every, offset, next },
}: {
  readonly queue: AnyQueue;
  readonly authorizationId: string;
  readonly slot: Slot;
}): Promise<void> {
  const present = await queue.getJobScheduler(authorizationId);
  const same = present?.every === every && present.offset === offset;
  if (same && (present.next ?? 0) > next - every) return;
  const repeat = present === undefined || same ? { every, offset } : { every, offset, startDate: next };
  await queue.upsertJobScheduler(authorizationId, repeat, {
    name: REPEATING,
    data: { authorizationId, reason: 'due' },
  });
}

type NewJob = {
  readonly queue: AnyQueue;
  readonly authorizationId: string;
  readonly delayWallMs: number;
  readonly reason: string;
};

/** Between the look at a job and the step that follows, a worker may take it or end it; BullMQ then refuses the step, and we look again. */
async function addOnce(job: NewJob): Promise<Added> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await tryToAdd(job);
    } catch (error) {
      if (tries >= ADD_TRIES) throw error;
    }
  }
}

async function tryToAdd({ queue, authorizationId, delayWallMs, reason }: NewJob): Promise<Added> {
  const jobId = jobIdOf(authorizationId);
  const present = await queue.getJob(jobId);
  if (present !== undefined) {
    const state = await present.getState();
    const isWish = reason === WISH;
    if (state === 'delayed') {
      // Somebody's wish waits for its turn, and a plan of ours does not put it off; what is to run now takes it along.
      if (present.data['reason'] === WISH && !isWish && delayWallMs > 0) return 'waits';
      // A job that waits for its turn would wake as one that came too early.
      if (isWish) await present.updateData({ authorizationId, reason });
      await present.changeDelay(delayWallMs);
      return 'waits';
    }
    if (state !== 'completed' && state !== 'failed') {
      // What has not been taken yet takes it along; what runs already reads it only if it comes again.
      if (isWish) await present.updateData({ authorizationId, reason });
      return state === 'active' ? 'runs' : 'waits';
    }
    await present.remove();
  }
  await queue.add(
    queue.name,
    { authorizationId, reason },
    { jobId, ...(delayWallMs > 0 ? { delay: delayWallMs } : {}) },
  );
  return 'waits';
}

/** Each shard is asked, since each may lie on a server of its own. */
async function pingEach(queues: readonly OpenQueue[]): Promise<void> {
  const repeating = queues.filter(({ name }) => name === REPEATING);
  await Promise.all(repeating.map(({ queue }) => queue.getJobCounts('active')));
}
