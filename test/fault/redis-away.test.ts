import { type ChildProcess, spawn } from 'node:child_process';
import { Redis } from 'ioredis';
import { afterAll, describe, expect, test } from 'vitest';
import { freePort, killLeftovers, newKey, type Served, serve, settingsOf } from '../support/processes.ts';
import { findServices, missingOf, productionPlace } from '../support/system-places.ts';
import { until } from '../support/system-until.ts';
import { requestOf, startWorld } from '../support/world.ts';

/** After Redis is back (promise P32). */
const READY_AGAIN_MS = 10_000;
/** Past the minute after which the sweep repairs a run that never came. */
const TWO_MINUTES_MS = 120_000;

const services = await findServices();
const { postgres, redisUrl } = services;

afterAll(killLeftovers);

if (postgres === null || redisUrl === null) {
  describe.skip(`Redis goes away ${missingOf(services)}`, () => {
    test('and comes back empty', () => undefined);
  });
} else {
  describe('Redis goes away', () => {
    test('readiness names it, requests are accepted, and all goes on when it comes back empty', async () => {
      const world = await startWorld({ speed: 1 });
      const place = await productionPlace({ postgres, redisUrl });
      const port = await freePort();
      let redis = await startRedis(port);
      const more = { REDIS_URL: `redis://127.0.0.1:${port}` };
      const process = await serve({
        command: 'start',
        env: settingsOf({ place, world, encryptionKeys: newKey(), more }),
      });
      const before = await world.link({});
      await process.api.enqueue(requestOf(before, { id: 'before' }));
      await process.reaches('before', 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
      expect(await readiness(process)).toMatchObject({ status: 200, away: [] });

      await ended(redis);
      await until(
        'not ready',
        () => readiness(process),
        ({ status }) => status === 503,
      );
      expect((await readiness(process)).away).toEqual(['queue']);
      expect((await fetch(`${process.url}/healthz`)).status).toBe(200);
      const during = await world.link({});
      expect(await process.api.enqueue(requestOf(during, { id: 'during' }))).toMatchObject({ created: true });
      const purged = await world.link({});
      await process.api.enqueue(requestOf(purged, { id: 'purged' }));
      await process.api.purge('purged');
      const tokensLeft = 'select 1 from perennial.tokens where authorization_id = $1';
      await until(
        'its rows are erased without the queue',
        () => place.sql?.(tokensLeft, ['purged']),
        (rows) => rows?.length === 0,
      );
      expect(await process.records('purged')).toBeNull();
      expect(process.running()).toBe(true);

      redis = await startRedis(port);
      const backAt = performance.now();
      await until(
        'ready again',
        () => readiness(process),
        ({ status }) => status === 200,
      );
      expect(performance.now() - backAt).toBeLessThan(READY_AGAIN_MS);
      const view = await process.reaches('purged', 'the queue swept too', ({ state }) => state === 'purged');
      expect(view.why).toBe('requested');
      // Instead of waiting for the plan to be overdue, the plan is moved.
      await place.sql?.('update perennial.authorizations set next_run_at = $1 where next_run_at is not null', [
        world.clock.now() - TWO_MINUTES_MS,
      ]);
      await process.reaches('during', 'pulled after Redis is back', ({ lastPull }) => lastPull?.result === 'complete');
      await process.reaches(
        'before',
        'planned again',
        ({ nextRunAt }) => Date.parse(nextRunAt ?? '') > world.clock.now(),
      );
      for (const [id, link] of [
        ['before', before],
        ['during', during],
      ] as const) {
        expect(await process.api.status(id)).toMatchObject({ state: 'active', failedRuns: 0 });
        expect(await process.records(id)).toEqual(await world.records(link.patient));
        expect(await world.row(link.authorizationId), 'no more than one pull each').toMatchObject({ fhirRequests: 1 });
      }
      expect(await repeatingJobs(port, place.redis?.prefix ?? '')).toEqual(['before', 'during']);
      process.signal('SIGTERM');
      expect((await process.exit).code).toBe(0);
      expect(process.stderr()).toBe('');
      await ended(redis);
      await world.close();
      await place.close();
    });
  });
}

async function readiness({ url }: Served): Promise<{ readonly status: number; readonly away: readonly string[] }> {
  const response = await fetch(`${url}/readyz`);
  const body: unknown = await response.json();
  const dependencies: unknown = typeof body === 'object' && body !== null ? Reflect.get(body, 'dependencies') : [];
  const away = (Array.isArray(dependencies) ? dependencies : [])
    .filter((one: unknown) => typeof one === 'object' && one !== null && Reflect.get(one, 'ok') !== true)
    .map((one: unknown) => (typeof one === 'object' && one !== null ? String(Reflect.get(one, 'name')) : ''));
  return { status: response.status, away };
}

/** A Redis of this test's own, without persistence: what is in it when it is killed is lost. */
async function startRedis(port: number): Promise<ChildProcess> {
  const options = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const redis = spawn('redis-server', options, { stdio: ['ignore', 'pipe', 'ignore'] });
  const said: string[] = [];
  redis.stdout.on('data', (chunk: Buffer) => said.push(chunk.toString('utf8')));
  await until(
    'Redis is ready',
    () => said.join(''),
    (text) => text.includes('Ready to accept connections'),
  );
  return redis;
}

async function ended(redis: ChildProcess): Promise<void> {
  redis.kill('SIGKILL');
  await until(
    'Redis is gone',
    () => redis.signalCode,
    (signal) => signal !== null,
  );
}

async function repeatingJobs(port: number, prefix: string): Promise<readonly string[]> {
  const client = new Redis(`redis://127.0.0.1:${port}`);
  const ids = await client.zrange(`${prefix}:refresh-and-pull:repeat`, '0', '-1');
  client.disconnect();
  return ids.sort();
}
