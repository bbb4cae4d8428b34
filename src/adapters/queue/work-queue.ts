import { nextSlot, phaseOf } from '../../core/cadence.ts';
import { PerennialError } from '../../core/errors.ts';
import type { Clock } from '../../core/ports/clock.ts';
import { QUEUES, type QueueName, type Repeating, type WorkQueue } from '../../core/ports/queue.ts';
import type { Log } from '../../core/ports/telemetry.ts';
import type { AnyQueue, QueueBackend } from './backend.ts';
import { coalesced } from './coalesce.ts';
import { jobIdOf, REPEATING } from './trail.ts';

/** Looks at a job that workers and other producers move at the same moment, before the queue itself is blamed. */
const ADD_TRIES = 5;
/** Authorizations that share one pass over the events: Redis answers nobody while it looks for them on a page. */
const SWEPT_TOGETHER_MAX = 200;

/** The queues of one process, opened. `queues` is for the dashboard and the gauges. */
export type OpenWorkQueue = WorkQueue & {
  readonly queues: ReadonlyMap<QueueName, AnyQueue>;
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
  const queues = new Map(QUEUES.map((name) => [name, openQueue({ backend, name, log })]));
  const queueOf = (name: QueueName): AnyQueue => {
    const queue = queues.get(name);
    if (queue === undefined) throw new PerennialError('internal', { field: 'queue' });
    return queue;
  };
  const sweep = coalesced({ pass: backend.trail.sweep, idsMax: SWEPT_TOGETHER_MAX });
  const traces = coalesced({ pass: backend.trail.traces, idsMax: SWEPT_TOGETHER_MAX });
  const slotOf = ({ authorizationId: id, periodMs, phase }: Repeating) => {
    const every = Math.max(1, Math.round(clock.toWallMs(periodMs)));
    // BullMQ takes an offset of 0 for "none" and runs at once.
    const offset = Math.max(1, phaseOf({ id, periodMs: every, ...(phase === undefined ? {} : { phase }) }));
    return { every, offset, next: nextSlot({ now: clock.wallNow(), periodMs: every, phaseMs: offset }) };
  };
  return {
    queues,
    ready: () =>
      translated(async () => void (await Promise.all([...queues.values()].map((queue) => queue.waitUntilReady())))),
    schedule: (job) =>
      translated(() => upsert({ queue: queueOf(REPEATING), authorizationId: job.authorizationId, slot: slotOf(job) })),
    nextRunAt: (job) => clock.fromWall(slotOf(job).next),
    isScheduled: (authorizationId) =>
      translated(async () => (await queueOf(REPEATING).getJobScheduler(authorizationId)) !== undefined),
    add: ({ queue, authorizationId, delayMs = 0, reason }) =>
      translated(() =>
        addOnce({ queue: queueOf(queue), authorizationId, delayWallMs: Math.round(clock.toWallMs(delayMs)), reason }),
      ),
    unschedule: (authorizationId) =>
      translated(async () => {
        await queueOf(REPEATING).removeJobScheduler(authorizationId);
      }),
    remove: (authorizationId) =>
      translated(async () => {
        await backend.trail.removeJobs([authorizationId]);
      }),
    sweep: (authorizationId) => translated(() => sweep(authorizationId, { jobs: 0, events: 0 })),
    traces: (authorizationId) => translated(() => traces(authorizationId, 0)),
    ping: () => translated(async () => void (await queueOf(REPEATING).getJobCounts('active'))),
    close: async () => {
      await Promise.all([...queues.values()].map((queue) => queue.close()));
    },
  };
}

function openQueue({
  backend,
  name,
  log,
}: {
  readonly backend: QueueBackend;
  readonly name: QueueName;
  readonly log: Log;
}): AnyQueue {
  const queue = backend.createQueue(name);
  queue.on('error', () => log.warn('queue_error', { queue: name, code: 'queue_unreachable' }));
  return queue;
}

type Slot = { readonly every: number; readonly offset: number; readonly next: number };

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
async function addOnce(job: NewJob): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await tryToAdd(job);
    } catch (error) {
      if (tries >= ADD_TRIES) throw error;
    }
  }
}

async function tryToAdd({ queue, authorizationId, delayWallMs, reason }: NewJob): Promise<void> {
  const jobId = jobIdOf(authorizationId);
  const present = await queue.getJob(jobId);
  if (present !== undefined) {
    const state = await present.getState();
    if (state === 'delayed') return present.changeDelay(delayWallMs);
    if (state !== 'completed' && state !== 'failed') return;
    await present.remove();
  }
  await queue.add(
    queue.name,
    { authorizationId, reason },
    { jobId, ...(delayWallMs > 0 ? { delay: delayWallMs } : {}) },
  );
}

async function translated<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof PerennialError) throw error;
    throw new PerennialError('queue_unreachable');
  }
}
