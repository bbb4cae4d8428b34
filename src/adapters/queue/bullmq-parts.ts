import type { Processor, Queue, Worker } from 'bullmq';
import { LIMITS } from '../../core/limits.ts';
import type { QueueName } from '../../core/ports/queue.ts';
import type { CensusPlace } from './census-place.ts';
import type { Layout, QueueAt, Shard } from './layout.ts';
import type { Layouts } from './layouts.ts';
import type { RedisClient } from './redis-connect.ts';
import type { Payload, Trail } from './trail.ts';

/** What we use of a BullMQ queue and worker; the same on every backend, where BullMQ's own types differ. */
export type AnyQueue = Pick<
  Queue<Payload, void>,
  | 'name'
  | 'add'
  | 'getJob'
  | 'getJobs'
  | 'getJobCounts'
  | 'upsertJobScheduler'
  | 'getJobScheduler'
  | 'removeJobScheduler'
  | 'getJobSchedulersCount'
  | 'waitUntilReady'
  | 'close'
> & { readonly on: (event: 'error', listener: (error: Error) => void) => unknown };
export type AnyWorker = Pick<Worker<Payload, void>, 'close' | 'isRunning' | 'concurrency'> & {
  readonly on: (event: 'error', listener: (error: Error) => void) => unknown;
};

/** Where BullMQ lies: makes its queues and workers, and closes what it opened. */
export type QueueBackend = {
  readonly kind: 'redis' | 'postgres' | 'embedded';
  readonly layout: Layout;
  /** The layouts that others use or used; null where there is one for ever. */
  readonly layouts: Layouts | null;
  /** The connection that producers share, for scripts of our own; it fails at once while Redis is away. Null where BullMQ lies on PostgreSQL. */
  readonly redis: RedisClient | null;
  readonly createQueue: (at: QueueAt) => AnyQueue;
  readonly createWorker: (
    at: QueueAt,
    processor: Processor<Payload, void, string>,
    options: { readonly concurrency: number },
  ) => AnyWorker;
  readonly trail: Trail;
  /** What the reconciler asks of one shard. */
  readonly censusOf: (shard: Shard) => CensusPlace;
  /** False while a call would wait for a backend that is away. */
  readonly isUsable: () => boolean;
  readonly close: () => Promise<void>;
};

const KEEP_FAILED = { count: LIMITS.keepFailedJobs, age: LIMITS.keepFailedAgeS };

/** What finished jobs the on-call engineer finds. A purge leaves no job behind, because its own would name what was erased. */
export const keepOf = (name: QueueName) => ({
  removeOnComplete:
    name === 'purge' ? { count: 0 } : { count: LIMITS.keepCompletedJobs, age: LIMITS.keepCompletedAgeS },
  removeOnFail: KEEP_FAILED,
  // Until it is taken, a request in the intake queue exists nowhere else: no number of crashes makes it a failed one.
  ...(name === 'intake' ? { maxStalledCount: Number.MAX_SAFE_INTEGER } : {}),
});

export const QUEUE_SETTINGS = { streams: { events: { maxLen: LIMITS.keepQueueEvents } } } as const;
