import { Redis } from 'ioredis';
import { PerennialError } from '../../core/errors.ts';

/** How long a server may take to say goodbye. */
const DISCONNECT_TIMEOUT_MS = 500;

/**
 * Refuses a Redis that may evict keys: an evicted job is a refresh or a purge that never comes, without a word (BullMQ's production guide).
 * Reads INFO and not CONFIG, which managed servers forbid.
 */
export async function assertRedisKeeps({
  url,
  connectTimeoutMs,
}: {
  readonly url: string;
  readonly connectTimeoutMs: number;
}): Promise<void> {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: connectTimeoutMs,
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
    maxRetriesPerRequest: 1,
    retryStrategy: () => null,
  });
  redis.on('error', () => {});
  // A server that takes the connection and says nothing would be waited for without end.
  const timer = setTimeout(() => redis.disconnect(), connectTimeoutMs);
  try {
    const info = await connected(redis);
    const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
    if (policy !== undefined && policy !== 'noeviction')
      throw new PerennialError('queue_evicts', { field: 'REDIS_URL' });
  } finally {
    clearTimeout(timer);
    redis.disconnect();
  }
}

async function connected(redis: Redis): Promise<string> {
  try {
    await redis.connect();
    return await redis.info('memory');
  } catch {
    throw new PerennialError('queue_unreachable', { field: 'REDIS_URL' });
  }
}
