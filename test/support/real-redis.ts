import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';

const URL_OF_TEST_REDIS = process.env['PERENNIAL_TEST_REDIS_URL'] ?? 'redis://127.0.0.1:6379';

/** Whether a real Redis answers; with PERENNIAL_REQUIRE_SERVICES=1 a missing one is a failing test, otherwise a loud skip. */
export async function findRedis(): Promise<{ readonly url: string; readonly answers: boolean }> {
  const redis = new Redis(URL_OF_TEST_REDIS, { lazyConnect: true, retryStrategy: () => null, connectTimeout: 1_000 });
  redis.on('error', () => {});
  try {
    await redis.connect();
    return { url: URL_OF_TEST_REDIS, answers: (await redis.ping()) === 'PONG' };
  } catch {
    return { url: URL_OF_TEST_REDIS, answers: false };
  } finally {
    redis.disconnect();
  }
}

export function sayWhenRedisIsMissing(answers: boolean): void {
  if (answers) return;
  if (process.env['PERENNIAL_REQUIRE_SERVICES'] === '1') {
    test('Redis answers, since PERENNIAL_REQUIRE_SERVICES=1 asks for it', () => expect(answers).toBe(true));
  } else {
    test.skip('SKIPPED: NO REDIS AT 127.0.0.1:6379, nothing about the queue was tested here', () => {});
  }
}

export function randomPrefix(): string {
  return `perennial-test-${randomBytes(6).toString('hex')}`;
}

/** Deletes the keys under one test's own prefix, in whatever shard, and nothing else. */
export async function dropPrefix(url: string, prefix: string): Promise<void> {
  const redis = new Redis(url);
  try {
    for await (const keys of keysUnder({ redis, prefix })) {
      // One by one: in a Cluster they lie in several slots.
      const pipeline = redis.pipeline();
      for (const key of keys) pipeline.unlink(key);
      await pipeline.exec();
    }
  } finally {
    redis.disconnect();
  }
}

/** The keys of one server under a prefix, page by page: as it is, and as the hash tag of a shard or of the intake queue. */
export async function* keysUnder({
  redis,
  prefix,
}: {
  readonly redis: Redis;
  readonly prefix: string;
}): AsyncGenerator<string[]> {
  const starts = [`${prefix}:`, `{${prefix}:`, `{${prefix}}`];
  for await (const page of redis.scanStream({ match: `*${prefix}*`, count: 500 })) {
    const keys = Array.isArray(page) ? page.map(String) : [];
    const own = keys.filter((key) => starts.some((start) => key.startsWith(start)));
    if (own.length > 0) yield own;
  }
}
