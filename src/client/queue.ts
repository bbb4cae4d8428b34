import { setTimeout as wait } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { type IntakeJob, type PublicJwk, sealRequest } from '../adapters/intake/seal.ts';
import { becomesUsable, connectRedis, isUsable, type RedisClient } from '../adapters/queue/redis-connect.ts';
import { handedCounterKey, intakePrefixOf, jobsOfKey } from '../contract/queue-keys.ts';
import { parseRedisUrl, REDIS_URL_FORMS, type RedisAddress } from '../contract/redis-address.ts';
import type { AuthorizationRequest } from '../contract/wire.ts';
import { type ErrorCode, PerennialError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { isErrorCode } from './exchange.ts';

const limits = {
  connectTimeoutMs: 2_000,
  /** How long a call waits for a connection that is not there (yet). */
  readyTimeoutMs: 2_000,
  /** The whole call; with Redis away it fails before 3 s. */
  callTimeoutMs: 2_800,
  outcomePollMs: 200,
  outcomeTimeoutMaxMs: 10 * 60 * 1_000,
} as const;

const QUEUE = 'intake';

/**
 * What became of an enqueued request: `accepted`, refused with a code of the catalogue, still `waiting` when the time was over, or `gone`:
 * finished so long ago that the queue has forgotten it (or it never held it); ask `status` then.
 */
export type Outcome = 'accepted' | 'waiting' | 'gone' | { readonly refused: ErrorCode };

export type QueueIntake = {
  readonly accept: (request: AuthorizationRequest) => Promise<{ readonly jobId: string }>;
  readonly cancel: (id: string) => Promise<{ readonly jobId: string }>;
  readonly outcome: (jobId: string, options: { readonly timeoutMs: number }) => Promise<Outcome>;
  readonly close: () => Promise<void>;
};

/**
 * Puts sealed requests into the worker's intake queue. With Redis away every call rejects with `queue_unreachable` in under 3 s, and works
 * again when Redis is back. A call that times out midway may still have been heard: enqueue again, the id makes it one.
 */
export function createQueueIntake({
  redisUrl,
  workerKey,
  queuePrefix,
  service,
}: {
  readonly redisUrl: string;
  readonly workerKey: PublicJwk;
  readonly queuePrefix: string;
  readonly service: string;
}): QueueIntake {
  const address = addressOf(redisUrl);
  const prefix = intakePrefixOf({ prefix: queuePrefix, cluster: address.kind === 'cluster' });
  const link = openLink({ address, prefix });
  const add = async (name: 'accept' | 'cancel', data: IntakeJob) => {
    const job = await link.use(async (queue, redis) =>
      queue.add(name, data, {
        jobId: await notedJobId({ redis, prefix, authorizationId: data.authorizationId }),
        attempts: 1,
        removeOnComplete: { age: LIMITS.keepCompletedAgeS, count: LIMITS.keepCompletedJobs },
        removeOnFail: { age: LIMITS.keepFailedAgeS },
      }),
    );
    if (job.id === undefined) throw new PerennialError('queue_unreachable');
    return { jobId: job.id };
  };
  return {
    accept: async (request) =>
      add('accept', {
        authorizationId: request.id,
        service,
        sealed: await sealRequest({ request, publicJwk: workerKey }),
      }),
    cancel: (id) => add('cancel', { authorizationId: id, service }),
    outcome: (jobId, { timeoutMs }) => pollOutcome({ link, jobId, timeoutMs }),
    close: link.close,
  };
}

type Link = {
  readonly use: <T>(work: (queue: Queue<IntakeJob>, redis: RedisClient) => Promise<T>) => Promise<T>;
  readonly close: () => Promise<void>;
};

function openLink({ address, prefix }: { readonly address: RedisAddress; readonly prefix: string }): Link {
  const redis = connect(address);
  let queue: Queue<IntakeJob> | null = null;
  const forget = () => {
    queue?.close().catch(() => {});
    queue = null;
  };
  return {
    use: async (work) => {
      try {
        return await within(limits.callTimeoutMs, async () => {
          await readyOf(redis);
          queue ??= openQueue({ redis, prefix });
          return await work(queue, redis);
        });
      } catch (error) {
        // BullMQ remembers a failed start for ever; a new queue object on the same connection starts afresh.
        forget();
        throw error instanceof PerennialError ? error : new PerennialError('queue_unreachable');
      }
    },
    close: async () => {
      forget();
      redis.disconnect();
    },
  };
}

/** A job id of its own, noted under the authorization before there is such a job, so that a purge finds it however many others wait. */
async function notedJobId({
  redis,
  prefix,
  authorizationId,
}: {
  readonly redis: RedisClient;
  readonly prefix: string;
  readonly authorizationId: string;
}): Promise<string> {
  const jobId = `handed.${await redis.incr(handedCounterKey(prefix))}`;
  await redis.sadd(jobsOfKey({ prefix, authorizationId }), `${QUEUE}:${jobId}`);
  return jobId;
}

function addressOf(redisUrl: string): RedisAddress {
  const address = parseRedisUrl(redisUrl);
  if (address === null) throw new PerennialError('config_invalid', { field: `redisUrl must be ${REDIS_URL_FORMS}` });
  return address;
}

function connect(address: RedisAddress): RedisClient {
  const { connectTimeoutMs, callTimeoutMs: commandTimeoutMs } = limits;
  return connectRedis({ address, manners: { connectTimeoutMs, commandTimeoutMs, waits: false, reconnects: true } });
}

function openQueue({ redis, prefix }: { readonly redis: RedisClient; readonly prefix: string }): Queue<IntakeJob> {
  // The queue's settings are the worker's to write, not every producer's.
  const queue = new Queue<IntakeJob>(QUEUE, { connection: redis, prefix, skipMetasUpdate: true });
  queue.on('error', () => {});
  return queue;
}

async function readyOf(redis: RedisClient): Promise<void> {
  if (isUsable(redis)) return;
  if (!(await becomesUsable({ client: redis, withinMs: limits.readyTimeoutMs })))
    throw new PerennialError('queue_unreachable');
}

async function within<T>(timeoutMs: number, work: () => Promise<T>): Promise<T> {
  const done = new AbortController();
  const late = wait(timeoutMs, null, { signal: done.signal }).then(
    () => Promise.reject(new PerennialError('queue_unreachable')),
    () => new Promise<never>(() => {}),
  );
  try {
    return await Promise.race([work(), late]);
  } finally {
    done.abort();
  }
}

async function pollOutcome({
  link,
  jobId,
  timeoutMs,
}: {
  readonly link: Link;
  readonly jobId: string;
  readonly timeoutMs: number;
}): Promise<Outcome> {
  const polls = Math.ceil(Math.min(Math.max(timeoutMs, 0), limits.outcomeTimeoutMaxMs) / limits.outcomePollMs);
  for (let poll = 0; ; poll += 1) {
    const outcome = await link.use((queue) => outcomeOf(queue, jobId));
    if (outcome !== 'waiting' || poll >= polls) return outcome;
    await wait(limits.outcomePollMs);
  }
}

async function outcomeOf(queue: Queue<IntakeJob>, jobId: string): Promise<Outcome> {
  const state = await queue.getJobState(jobId);
  if (state === 'completed') return 'accepted';
  if (state === 'unknown') return 'gone';
  if (state !== 'failed') return 'waiting';
  const reason = (await queue.getJob(jobId))?.failedReason ?? '';
  return { refused: isErrorCode(reason) ? reason : 'internal' };
}
