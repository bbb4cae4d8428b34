import {
  createPostgresBackend,
  createRedisBackend,
  type Processor,
  type Queue,
  type Worker,
  withBackend,
} from 'bullmq';
import { PerennialError } from '../../core/errors.ts';
import { LIMITS } from '../../core/limits.ts';
import { QUEUES, type QueueName } from '../../core/ports/queue.ts';
import { startEmbeddedQueueDatabase } from './embedded.ts';
import { noted } from './noted.ts';
import { assertRedisKeeps } from './redis-policy.ts';
import type { Payload, Trail } from './trail.ts';
import { openPostgresTrail } from './trail-postgres.ts';
import { openRedisTrail } from './trail-redis.ts';

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
export type AnyWorker = Pick<Worker<Payload, void>, 'close' | 'isRunning'> & {
  readonly on: (event: 'error', listener: (error: Error) => void) => unknown;
};

/** Where BullMQ lies: makes its queues and workers, and closes what it opened. */
export type QueueBackend = {
  readonly kind: 'redis' | 'postgres' | 'embedded';
  readonly createQueue: (name: QueueName) => AnyQueue;
  readonly createWorker: (
    name: QueueName,
    processor: Processor<Payload, void, string>,
    options: { readonly concurrency: number },
  ) => AnyWorker;
  readonly trail: Trail;
  readonly close: () => Promise<void>;
};

export type QueuePlace =
  | { readonly kind: 'redis'; readonly url: string }
  | { readonly kind: 'postgres'; readonly url: string }
  | { readonly kind: 'embedded'; readonly dataDir: string };

/**
 * How often a worker on the embedded database looks for jobs. Its one session tells a NOTIFY to whoever sent it and not to who listens, so a worker that knew
 * of a job in an hour would sleep until then (measured: a job added meanwhile was not taken in 15 s). Five workers that look twice a second take 4 % of a core.
 */
const EMBEDDED_POLL_S = 0.5;
/** Connections of the pool that one queue or worker on PostgreSQL keeps, besides its LISTEN connection. */
const POSTGRES_POOL_SIZE = 2;
/** How long a producer waits for a connection to Redis before it says that Redis is away. */
const REDIS_CONNECT_TIMEOUT_MS = 2_000;
/** How long a producer waits for an answer over a connection that may have gone silent. */
const REDIS_COMMAND_TIMEOUT_MS = 2_500;

const KEEP_FAILED = { count: LIMITS.keepFailedJobs, age: LIMITS.keepFailedAgeS };

/** What finished jobs the on-call engineer finds. A purge leaves no job behind, because its own would name what was erased. */
const keepOf = (name: QueueName) => ({
  removeOnComplete:
    name === 'purge' ? { count: 0 } : { count: LIMITS.keepCompletedJobs, age: LIMITS.keepCompletedAgeS },
  removeOnFail: KEEP_FAILED,
  // Until it is taken, a request in the intake queue exists nowhere else: no number of crashes makes it a failed one.
  ...(name === 'intake' ? { maxStalledCount: Number.MAX_SAFE_INTEGER } : {}),
});

const QUEUE_SETTINGS = { streams: { events: { maxLen: LIMITS.keepQueueEvents } } } as const;

/**
 * Opens BullMQ on Redis, on PostgreSQL, or on a PostgreSQL of our own in the process.
 * @throws PerennialError `queue_evicts` when Redis may drop keys, `queue_unreachable` when it does not answer.
 */
export function openQueueBackend({
  place,
  prefix,
}: {
  readonly place: QueuePlace;
  readonly prefix: string;
}): Promise<QueueBackend> {
  if (place.kind === 'redis') return openRedis({ url: place.url, prefix });
  return openPostgres({ place, prefix });
}

async function openRedis({ url, prefix }: { readonly url: string; readonly prefix: string }): Promise<QueueBackend> {
  await assertRedisKeeps({ url, connectTimeoutMs: REDIS_CONNECT_TIMEOUT_MS });
  const classes = withBackend(createRedisBackend);
  const producer = {
    url,
    maxRetriesPerRequest: 1,
    enableOfflineQueue: false,
    connectTimeout: REDIS_CONNECT_TIMEOUT_MS,
    commandTimeout: REDIS_COMMAND_TIMEOUT_MS,
  };
  const consumer = { url, maxRetriesPerRequest: null };
  const trail = openRedisTrail({
    url,
    prefix,
    connectTimeoutMs: REDIS_CONNECT_TIMEOUT_MS,
    commandTimeoutMs: REDIS_COMMAND_TIMEOUT_MS,
  });
  return {
    kind: 'redis',
    createQueue: (name) => new classes.Queue<Payload, void>(name, { connection: producer, prefix, ...QUEUE_SETTINGS }),
    createWorker: (name, processor, { concurrency }) =>
      new classes.Worker<Payload, void>(name, noted({ queue: name, trail, processor }), {
        connection: consumer,
        prefix,
        concurrency,
        ...keepOf(name),
      }),
    trail,
    close: trail.close,
  };
}

async function openPostgres({
  place,
  prefix,
}: {
  readonly place: Exclude<QueuePlace, { readonly kind: 'redis' }>;
  readonly prefix: string;
}): Promise<QueueBackend> {
  const schema = `bullmq_${prefix.replaceAll('-', '_')}`;
  const embedded =
    place.kind === 'embedded' ? await startEmbeddedQueueDatabase({ dataDir: place.dataDir, schema }) : null;
  const where = embedded === null && place.kind === 'postgres' ? { connectionString: place.url } : embedded?.connection;
  if (where === undefined) throw new PerennialError('queue_unreachable');
  const connection = { ...where, schema, max: POSTGRES_POOL_SIZE };
  const classes = withBackend(embedded === null ? createPostgresBackend : createPollingBackend);
  const polling = embedded === null ? {} : { drainDelay: EMBEDDED_POLL_S };
  try {
    await migrate(new classes.Queue<Payload, void>(QUEUES[0], { connection: { ...connection, migrate: true } }));
  } catch (error) {
    await embedded?.close();
    throw error;
  }
  const trail = openPostgresTrail({ connection: where, schema });
  return {
    kind: place.kind,
    createQueue: (name) => new classes.Queue<Payload, void>(name, { connection, ...QUEUE_SETTINGS }),
    createWorker: (name, processor, { concurrency }) =>
      new classes.Worker<Payload, void>(name, processor, { connection, concurrency, ...polling, ...keepOf(name) }),
    trail,
    close: async () => {
      await trail.close();
      await embedded?.close();
    },
  };
}

const createPollingBackend: typeof createPostgresBackend = (name, options, more) => {
  const backend = createPostgresBackend(name, options, more);
  Object.defineProperty(backend, 'maximumBlockTimeout', { value: EMBEDDED_POLL_S });
  return backend;
};

/** Once and before the rest: five queues that migrate at the same time wait for each other for ever on one embedded session. */
async function migrate(queue: AnyQueue): Promise<void> {
  queue.on('error', () => {});
  try {
    await queue.waitUntilReady();
  } catch {
    throw new PerennialError('queue_unreachable', { field: 'DATABASE_URL' });
  } finally {
    await queue.close();
  }
}
