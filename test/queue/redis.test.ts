import { Redis } from 'ioredis';
import { describe, expect, test } from 'vitest';
import { findRedis, randomPrefix, sayWhenRedisIsMissing } from '../support/real-redis.ts';
import { HOUR_MS, jobsOf, openBench, waitUntil } from './bench.ts';
import { queueContract } from './queue.contract.ts';
import { redisPlace } from './redis-place.ts';

const found = await findRedis();
const redis = { ...found, answers: found.answers && process.env['PERENNIAL_EMBEDDED_ONLY'] !== '1' };
sayWhenRedisIsMissing(redis.answers);
describe.runIf(redis.answers)('BullMQ', () => {
  queueContract('WorkQueue on Redis', async () => redisPlace({ url: redis.url }));

  test("a sweep costs what is the authorization's own: among 300 others no list and no set of everybody's is read", async () => {
    const prefix = randomPrefix().slice(0, 32);
    const place = redisPlace({ url: redis.url, prefix });
    const bench = await openBench(place);
    const ids = Array.from({ length: 300 }, () => bench.newId('other'));
    await Promise.all(ids.map((id) => bench.queue.schedule({ authorizationId: id, periodMs: 24 * HOUR_MS })));
    const [swept = '', removed = ''] = ids;
    const sweeping = await heard({ url: redis.url, prefix, act: () => bench.queue.sweep(swept) });
    const removing = await heard({ url: redis.url, prefix, act: () => bench.queue.remove(removed) });
    const looking = await heard({ url: redis.url, prefix, act: () => bench.queue.traces(swept) });
    for (const commands of [sweeping, removing, looking]) {
      expect(commands.length).toBeGreaterThan(3);
      expect(commands.length).toBeLessThan(120);
      expect(commands.filter((name) => READS_EVERYBODYS.has(name))).toEqual([]);
    }
    // Control: to list the jobs is to read everybody's.
    const listing = await heard({
      url: redis.url,
      prefix,
      act: async () => void (await jobsOf(bench, 'refresh-and-pull', swept)),
    });
    expect(listing.filter((name) => READS_EVERYBODYS.has(name))).not.toEqual([]);
    await bench.close();
    await place.dispose();
  });
});

/** What reads as much as a queue holds, other than the events, which are bounded. */
const READS_EVERYBODYS: ReadonlySet<string> = new Set([
  'keys',
  'scan',
  'zscan',
  'sscan',
  'zrange',
  'zrangebyscore',
  'lrange',
  'hgetall',
]);

/** The commands that Redis heard meanwhile under the place's own prefix, those of scripts too. */
async function heard({
  url,
  prefix,
  act,
}: {
  readonly url: string;
  readonly prefix: string;
  readonly act: () => Promise<unknown>;
}): Promise<readonly string[]> {
  const client = new Redis(url);
  const monitor = await client.monitor();
  const commands: string[] = [];
  monitor.on('monitor', (_time: string, [name = '', key = '']: readonly string[]) => {
    // The note of layouts holds a handful, whoever else is there; the noted runs are one authorization's.
    const isSmall = key === `${prefix}:layouts` || key.startsWith(`${prefix}:runs-of:`);
    if (key.startsWith(`${prefix}:`) && !isSmall) commands.push(name.toLowerCase());
  });
  await act();
  await client.ping();
  await waitUntil('the end to be heard', () => commands.length > 0);
  monitor.disconnect();
  client.disconnect();
  return commands;
}
