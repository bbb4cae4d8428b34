import { Redis } from 'ioredis';
import { openQueueBackend } from '../../src/adapters/queue/backend.ts';
import { layoutOf } from '../../src/adapters/queue/layout.ts';
import { dropPrefix, keysUnder, randomPrefix } from '../support/real-redis.ts';
import type { Place } from './bench.ts';

/** A place on a Redis, or on a Cluster whose nodes are at `nodeUrls`. Keys are looked at and lost through each node's own connection. */
export function redisPlace({
  url,
  nodeUrls = [url],
  shards = 1,
  prefix = randomPrefix().slice(0, 32),
}: {
  readonly url: string;
  readonly nodeUrls?: readonly string[];
  readonly shards?: number;
  readonly prefix?: string;
}): Place {
  const layout = layoutOf({ prefix, shards, cluster: url.includes('+cluster:') });
  const onEach = async <T>(act: (redis: Redis) => Promise<T>): Promise<readonly T[]> =>
    Promise.all(
      nodeUrls.map(async (nodeUrl) => {
        const redis = new Redis(nodeUrl);
        try {
          return await act(redis);
        } finally {
          redis.disconnect();
        }
      }),
    );
  return {
    open: () => openQueueBackend({ place: { kind: 'redis', url, shards }, prefix }),
    losePending: async (id) => {
      const base = `${layout.shardOf(id).prefix}:refresh-and-pull`;
      await onEach((redis) => losePending({ redis, base, id }));
    },
    tracesOf: async (text) => (await onEach((redis) => tracesIn({ redis, prefix, text }))).flat(),
    dispose: async () => {
      await Promise.all(nodeUrls.map((nodeUrl) => dropPrefix(nodeUrl, prefix)));
    },
  };
}

async function losePending({
  redis,
  base,
  id,
}: {
  readonly redis: Redis;
  readonly base: string;
  readonly id: string;
}): Promise<void> {
  // On another node than the one that has them there are none.
  const delayed = await redis.zrange(`${base}:delayed`, '0', '-1').catch(() => []);
  for (const jobId of delayed.filter((one) => one.startsWith(`repeat:${id}:`))) {
    await redis.zrem(`${base}:delayed`, jobId);
    await redis.del(`${base}:${jobId}`);
  }
}

/** Every key under the prefix that holds the text in its name or value; `events` for entries of a stream. */
async function tracesIn({
  redis,
  prefix,
  text,
}: {
  readonly redis: Redis;
  readonly prefix: string;
  readonly text: string;
}): Promise<string[]> {
  const traces: string[] = [];
  for await (const keys of keysUnder({ redis, prefix })) {
    for (const key of keys) {
      const type = await redis.type(key);
      const dump = (await redis.dumpBuffer(key))?.toString('latin1') ?? '';
      const content = `${JSON.stringify(await contentOf(redis, key, type))}${dump}`;
      if (key.includes(text) || content.includes(text)) traces.push(`${type === 'stream' ? 'events' : type} ${key}`);
    }
  }
  return traces;
}

async function contentOf(client: Redis, key: string, type: string): Promise<unknown> {
  switch (type) {
    case 'string':
      return client.get(key);
    case 'hash':
      return client.hgetall(key);
    case 'list':
      return client.lrange(key, 0, -1);
    case 'zset':
      return client.zrange(key, '0', '-1');
    case 'set':
      return client.smembers(key);
    case 'stream':
      return client.xrange(key, '-', '+');
    default:
      return null;
  }
}
