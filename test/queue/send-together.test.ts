import { once } from 'node:events';
import { Redis } from 'ioredis';
import { afterAll, describe, expect, test } from 'vitest';
import { connectRedis } from '../../src/adapters/queue/redis-connect.ts';
import { dropPrefix, findRedis, randomPrefix, sayWhenRedisIsMissing } from '../support/real-redis.ts';

const MANY = 40;

const { url, answers } = await findRedis();
sayWhenRedisIsMissing(answers);

describe.skipIf(!answers)('commands that one turn of the event loop gives a connection', () => {
  const prefix = randomPrefix();
  const key = `${prefix}:row`;
  const open: Redis[] = [];
  const connected = async (redis: unknown): Promise<Redis> => {
    if (!(redis instanceof Redis)) throw new Error('no single connection');
    open.push(redis);
    await once(redis, 'ready');
    return redis;
  };
  const ours = () =>
    connected(
      connectRedis({
        address: { kind: 'single', url },
        manners: { connectTimeoutMs: 1_000, commandTimeoutMs: 5_000, waits: true, reconnects: true },
      }),
    );
  afterAll(async () => {
    for (const redis of open) redis.disconnect();
    await dropPrefix(url, prefix);
  });

  /** Pieces that reach the socket while so many commands are answered. */
  async function piecesOf(redis: Redis): Promise<{ readonly pieces: number; readonly replies: readonly unknown[] }> {
    await redis.del(key);
    const { stream } = redis;
    const own = { one: stream._write.bind(stream), many: stream._writev?.bind(stream) };
    let pieces = 0;
    stream._write = (...chunk) => {
      pieces += 1;
      own.one(...chunk);
    };
    stream._writev = (...chunks) => {
      pieces += 1;
      own.many?.(...chunks);
    };
    const replies = await Promise.all(Array.from({ length: MANY }, (_, nth) => redis.rpush(key, String(nth))));
    return { pieces, replies };
  }
  const IN_ORDER = Array.from({ length: MANY }, (_, nth) => nth + 1);

  test('go to the socket in one piece, and are answered each in its turn', async () => {
    expect(await piecesOf(await ours())).toEqual({ pieces: 1, replies: IN_ORDER });
  });

  test('do so after a reconnect as well, and none waits for another turn', async () => {
    const redis = await ours();
    redis.stream.destroy();
    await once(redis, 'ready');
    expect(await piecesOf(redis)).toEqual({ pieces: 1, replies: IN_ORDER });
    const reply = redis.ping();
    await new Promise((resolve) => process.nextTick(resolve));
    expect(redis.stream.writableLength).toBe(0);
    expect(await reply).toBe('PONG');
  });

  test('go out when the connection is given up in the same turn', async () => {
    const redis = await ours();
    await redis.del(key);
    const pushed = redis.rpush(key, 'last');
    expect(await redis.quit()).toBe('OK');
    expect(await pushed).toBe(1);
  });

  test('control: without it each is a piece of its own', async () => {
    expect(await piecesOf(await connected(new Redis(url)))).toEqual({ pieces: MANY, replies: IN_ORDER });
  });
});
