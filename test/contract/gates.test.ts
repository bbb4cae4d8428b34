import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { windowOf } from '../../src/adapters/gates/rates.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { dropPrefix, findRedis, randomPrefix, sayWhenRedisIsMissing } from '../support/real-redis.ts';
import { closed, enterMany, gatesAt, gatesContract, handClock, open } from './gates.contract.ts';

const own = handClock();
const alone = gatesAt({ redis: null, prefix: 'none', clock: own });
gatesContract('gates in one process', () => ({ clock: own, both: [alone, alone] }));
afterAll(alone.close);

test.each([1, 7, 20, 50, 60, 100, 600, 12_345])(
  'a rate of %i a minute is nearly used, and never by much overdrawn',
  (perMinute) => {
    const { points, seconds } = windowOf(perMinute);
    const given = (points * 60) / seconds;
    expect(given).toBeLessThanOrEqual(perMinute);
    expect(given).toBeGreaterThanOrEqual(0.95 * perMinute);
  },
);

test('a process that has as many probes under way as it may starts no other', async () => {
  const clock = handClock();
  const gates = gatesAt({ redis: null, prefix: 'none', clock, probesMax: 1 });
  const both = [gates, gates] as const;
  for (const endpointId of ['one', 'two']) {
    for (let nth = 0; nth < LIMITS.breakerAfterFailures; nth += 1) {
      await gates.note({
        source: 'plain',
        endpointId,
        part: 'pages',
        answer: { kind: 'failed' },
        sentAt: clock.wallNow(),
      });
    }
  }
  clock.pass(LIMITS.breakerFirstMs);
  const [probe] = open(await enterMany({ both, endpointId: 'one', count: 1 }));
  expect(closed(await enterMany({ both, endpointId: 'two', count: 1 }))).toMatchObject([{ reason: 'breaker' }]);
  await probe?.leave();
  expect(open(await enterMany({ both, endpointId: 'two', count: 1 }))).toHaveLength(1);
  await gates.close();
});

const { url, answers } = await findRedis();
sayWhenRedisIsMissing(answers);

describe.skipIf(!answers)('gates in Redis', () => {
  const prefix = randomPrefix();
  const clock = handClock();
  const connections = [0, 1].map(
    () => new Redis(url, { lazyConnect: true, enableOfflineQueue: false, maxRetriesPerRequest: 1 }),
  );
  const [left, right] = connections.map((redis) => gatesAt({ redis, prefix, clock }));
  if (left === undefined || right === undefined) throw new Error('no gates');
  beforeAll(async () => {
    await Promise.all(connections.map((redis) => redis.connect()));
  });
  afterAll(async () => {
    await Promise.all([left.close(), right.close()]);
    for (const redis of connections) redis.disconnect();
    await dropPrefix(url, prefix);
  });

  gatesContract('shared by two processes', () => ({ clock, both: [left, right] }));

  test('no more get in when many from both processes come at the same moment', async () => {
    const entries = await enterMany({ both: [left, right], endpointId: 'crowded', count: 200 });
    expect(open(entries)).toHaveLength(4);
    expect(new Set(closed(entries).map(({ retryAfterMs }) => retryAfterMs)).size).toBe(196);
  });

  test('control: gates that are not shared let each process fill the endpoint', async () => {
    const apart = [0, 1].map(() => gatesAt({ redis: null, prefix, clock }));
    const [one, other] = apart;
    if (one === undefined || other === undefined) throw new Error('no gates');
    expect(open(await enterMany({ both: [one, other], endpointId: 'crowded', count: 200 }))).toHaveLength(8);
    await Promise.all(apart.map((gates) => gates.close()));
  });

  test('what is in Redis and is no state of ours is none', async () => {
    await connections[0]?.set(`${prefix}:gate:{plain/strange}`, '{"holders":7}');
    expect(open(await enterMany({ both: [left, right], endpointId: 'strange', count: 5 }))).toHaveLength(4);
  });

  test('a gate that nobody comes to is forgotten', async () => {
    await enterMany({ both: [left, right], endpointId: 'forgotten', count: 1 });
    const keepMs = await connections[0]?.pttl(`${prefix}:gate:{plain/forgotten}`);
    expect(keepMs).toBeGreaterThan(LIMITS.gateForgetMs);
    expect(keepMs).toBeLessThanOrEqual(LIMITS.gateForgetMs + LIMITS.gateHolderMs);
  });

  test('with Redis away a process goes on by its own gates at once, says so once, and shares again afterwards', async () => {
    const redis = new Redis(url, { lazyConnect: true, enableOfflineQueue: false, maxRetriesPerRequest: 1 });
    redis.on('error', () => {});
    const said: string[] = [];
    const say = (event: string): void => void said.push(event);
    const gates = gatesAt({ redis, prefix, clock, log: { info: say, warn: say, error: say } });
    const both = [gates, gates] as const;
    expect(open(await enterMany({ both, endpointId: 'away', count: 9 }))).toHaveLength(4);
    expect(await gates.spend({ source: 'rated', endpointId: 'away' })).toBe(0);
    expect(said).toEqual(['gates_not_shared']);
    await redis.connect();
    clock.pass(10_000);
    expect(open(await enterMany({ both, endpointId: 'away', count: 9 }))).toHaveLength(4);
    expect(said).toEqual(['gates_not_shared', 'gates_shared_again']);
    await gates.close();
    redis.disconnect();
  });
});
