import { Redis } from 'ioredis';
import { describe, expect, test } from 'vitest';
import { UNITS } from '../../src/core/limits.ts';
import { purgesOf } from '../../src/flows/fleet.ts';
import { makeDueAtOnce } from '../support/due-at-once.ts';
import { canStartRedis, startOwnRedis } from '../support/own-redis.ts';
import { startSystem } from '../support/system.ts';
import { findServices, missingOf, productionPlace } from '../support/system-places.ts';
import { until } from '../support/system-until.ts';
import { requestOf, startWorld } from '../support/world.ts';

/** Due at the same instant. The whole ten thousand are measured by `npm run bench:purge`. */
const COUNT = 200;
const PROMISE_S = 60;
/** Time for a fetch on a busy machine, and soon over. */
const LIFETIME_MS = 6 * UNITS.SECOND_MS;
/** One sweep is a second; the rest is a busy machine's. */
const WITHIN_MS = 10 * UNITS.SECOND_MS;

const services = await findServices();
const { postgres, redisUrl } = services;

if (postgres === null || redisUrl === null || !canStartRedis) {
  describe.skip(`purges in time ${missingOf(services)}`, () => {
    test('whatever becomes of Redis', () => undefined);
  });
} else {
  describe('purges in time', () => {
    test('all of Redis wiped between fetch and purge: purged by the sweep after the deadline, by nothing else', async () => {
      const redis = await startOwnRedis();
      const production = await productionPlace({ postgres, redisUrl });
      const place = { ...production, settings: { ...production.settings, REDIS_URL: redis.url } };
      const world = await startWorld({ speed: 1 });
      const system = await startSystem({ place, world });
      const client = new Redis(redis.url);
      try {
        const link = await world.link({ usage: 'ONE_TIME', size: 1, knobs: { accessTokenMs: LIFETIME_MS } });
        const id = 'wiped';
        await system.accept(requestOf(link, { id, usage: 'ONE_TIME' }));
        const { purgeDueAt } = await system.reaches(id, 'fetched', ({ lastPull }) => lastPull?.result === 'complete');
        expect(await system.tracesOf(id), 'its purge job is there').not.toEqual([]);
        await client.flushall();
        expect(await system.tracesOf(id)).toEqual([]);
        const { purgedAt } = await system.reaches(id, 'purged', ({ state }) => state === 'purged');
        const lateMs = Date.parse(purgedAt ?? '') - Date.parse(purgeDueAt ?? '');
        expect(lateMs).toBeGreaterThanOrEqual(0);
        expect(lateMs).toBeLessThan(WITHIN_MS);
        expect(await system.context.store.leftOf(id)).toEqual({ tokens: 0, records: 0 });
        expect(await client.keys(`*${id}*`)).toEqual([]);
        const fetches = world.seen.filter(({ path }) => path.includes('$everything'));
        expect(fetches.map(({ status }) => status)).toEqual([200]);
      } finally {
        client.disconnect();
        await system.stop();
        await world.close();
        await production.close();
        await redis.close();
      }
    });

    test(`${COUNT} that are due in the same millisecond have their receipts within a minute, and the lag is told from them`, async () => {
      const world = await startWorld({ speed: 1 });
      const place = await productionPlace({ postgres, redisUrl });
      const system = await startSystem({ place, world });
      try {
        const link = await world.link({ usage: 'ONE_TIME', exchanged: true, size: 1 });
        await makeDueAtOnce({ context: system.context, link, count: COUNT, inMs: UNITS.SECOND_MS });
        const look = () => purgesOf(system.context);
        const purges = await until('all are purged', look, ({ ended }) => ended === COUNT, { capMs: 100_000 });
        expect(purges).toMatchObject({ oldestUnpurgedSeconds: null, alert: false });
        expect(purges.lagSeconds?.p99).toBeGreaterThan(0);
        expect(purges.lagSeconds?.p99).toBeLessThan(PROMISE_S);
        process.stdout.write(
          `\n${COUNT} purges due at once: p50 ${purges.lagSeconds?.p50.toFixed(1)} s, p99 ${purges.lagSeconds?.p99.toFixed(1)} s\n`,
        );
      } finally {
        await system.stop();
        await world.close();
        await place.close();
      }
    });

    test('a purge that cannot end is late, and from the configured time on it is an alert', async () => {
      const world = await startWorld({ speed: 1 });
      const place = await productionPlace({ postgres, redisUrl });
      const system = await startSystem({ place, world });
      try {
        const link = await world.link({ usage: 'ONE_TIME', exchanged: true, size: 1 });
        await makeDueAtOnce({ context: system.context, link, count: 1, inMs: UNITS.HOUR_MS });
        const { clock } = system.context;
        const inTime = (ms: number) => ({ ...system.context, clock: { ...clock, now: () => clock.now() + ms } });
        expect(await purgesOf(system.context)).toMatchObject({ oldestUnpurgedSeconds: null, alert: false });
        const soon = await purgesOf(inTime(UNITS.HOUR_MS + 60_000));
        expect(soon.oldestUnpurgedSeconds).toBeGreaterThan(50);
        expect(soon.alert).toBe(false);
        expect((await purgesOf(inTime(UNITS.HOUR_MS + 360_000))).alert).toBe(true);
      } finally {
        await system.stop();
        await world.close();
        await place.close();
      }
    });
  });
}
