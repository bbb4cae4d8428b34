import { Redis } from 'ioredis';
import { describe } from 'vitest';
import { openQueueBackend } from '../../src/adapters/queue/backend.ts';
import { dropPrefix, findRedis, randomPrefix, sayWhenRedisIsMissing } from '../support/real-redis.ts';
import type { Place } from './bench.ts';
import { queueContract } from './queue.contract.ts';

const found = await findRedis();
const redis = { ...found, answers: found.answers && process.env['PERENNIAL_EMBEDDED_ONLY'] !== '1' };
sayWhenRedisIsMissing(redis.answers);
describe.runIf(redis.answers)('BullMQ', () => {
  queueContract('WorkQueue on Redis', async () => openPlace(redis.url));
});

async function openPlace(url: string): Promise<Place> {
  const prefix = randomPrefix().slice(0, 32);
  return {
    open: () => openQueueBackend({ place: { kind: 'redis', url }, prefix }),
    losePending: async (id) => {
      const client = new Redis(url);
      const delayed = `${prefix}:refresh-and-pull:delayed`;
      const jobIds = (await client.zrange(delayed, '0', '-1')).filter((jobId) => jobId.startsWith(`repeat:${id}:`));
      for (const jobId of jobIds) {
        await client.zrem(delayed, jobId);
        await client.del(`${prefix}:refresh-and-pull:${jobId}`);
      }
      client.disconnect();
    },
    tracesOf: (text) => tracesIn({ url, prefix, text }),
    dispose: () => dropPrefix(url, prefix),
  };
}

/** Every key under the prefix that holds the text in its name or value; `events` for entries of a stream. */
async function tracesIn({ url, prefix, text }: { url: string; prefix: string; text: string }): Promise<string[]> {
  const client = new Redis(url);
  try {
    const traces: string[] = [];
    for await (const keys of client.scanStream({ match: `${prefix}:*`, count: 500 })) {
      for (const key of Array.isArray(keys) ? keys.map(String) : []) {
        const type = await client.type(key);
        const dump = (await client.dumpBuffer(key))?.toString('latin1') ?? '';
        const content = `${JSON.stringify(await contentOf(client, key, type))}${dump}`;
        if (key.includes(text) || content.includes(text)) traces.push(`${type === 'stream' ? 'events' : type} ${key}`);
      }
    }
    return traces;
  } finally {
    client.disconnect();
  }
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
