import { createRedisBackend, withBackend } from 'bullmq';
import { parseRedisUrl, REDIS_URL_FORMS } from '../../contract/redis-address.ts';
import { PerennialError } from '../../core/errors.ts';
import { keepOf, QUEUE_SETTINGS, type QueueBackend } from './bullmq-parts.ts';
import { createRedisCensus } from './census-redis.ts';
import { layoutOf } from './layout.ts';
import { createLayouts } from './layouts.ts';
import { noted } from './noted.ts';
import { connectRedis, isUsable } from './redis-connect.ts';
import { assertRedisKeeps } from './redis-policy.ts';
import type { Payload } from './trail.ts';
import { openRedisTrail } from './trail-redis.ts';

/** How long a producer waits for a connection to Redis before it says that Redis is away. */
const CONNECT_TIMEOUT_MS = 2_000;
/** How long a producer waits for an answer over a connection that may have gone silent. */
const COMMAND_TIMEOUT_MS = 2_500;

const PRODUCER = {
  connectTimeoutMs: CONNECT_TIMEOUT_MS,
  commandTimeoutMs: COMMAND_TIMEOUT_MS,
  waits: false,
  reconnects: true,
} as const;
/** A worker waits for a Redis that is away, however long: a job that ended has to be told as ended. */
const CONSUMER = { connectTimeoutMs: 10_000, commandTimeoutMs: null, waits: true, reconnects: true } as const;

/**
 * BullMQ on Redis. Two connections are shared by all of a process: one by those that add and look, one by those that take; and each worker has one more that
 * blocks until there is a job: 4 a shard and 1 for intake. In a Cluster each of them is a socket to every master it talked to.
 * @throws PerennialError `queue_evicts` when Redis may drop keys, `queue_unreachable` when it does not answer.
 */
export async function openRedisBackend({
  url,
  shards = 1,
  prefix,
}: {
  readonly url: string;
  readonly shards?: number;
  readonly prefix: string;
}): Promise<QueueBackend> {
  const address = parseRedisUrl(url);
  if (address === null) throw new PerennialError('config_invalid', { field: `REDIS_URL must be ${REDIS_URL_FORMS}` });
  await assertRedisKeeps({ address, connectTimeoutMs: CONNECT_TIMEOUT_MS });
  const layout = layoutOf({ prefix, shards, cluster: address.kind === 'cluster' });
  const producer = connectRedis({ address, manners: PRODUCER });
  const consumer = connectRedis({ address, manners: CONSUMER });
  const classes = withBackend(createRedisBackend);
  const layouts = createLayouts({ redis: producer, own: layout, prefix, cluster: address.kind === 'cluster' });
  const trail = openRedisTrail({ redis: producer, layouts: layouts.known });
  return {
    kind: 'redis',
    layout,
    layouts,
    redis: producer,
    createQueue: ({ name, shard: { prefix } }) =>
      new classes.Queue<Payload, void>(name, { connection: producer, prefix, ...QUEUE_SETTINGS }),
    createWorker: ({ name, shard }, processor, { concurrency }) =>
      new classes.Worker<Payload, void>(name, noted({ queue: name, shard, trail, processor }), {
        connection: consumer,
        prefix: shard.prefix,
        concurrency,
        ...keepOf(name),
      }),
    trail,
    censusOf: (shard) => createRedisCensus({ redis: producer, prefix: shard.prefix }),
    isUsable: () => isUsable(producer),
    close: async () => {
      producer.disconnect();
      consumer.disconnect();
    },
  };
}
