import { setTimeout as wait } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { runReconciler } from '../../jobs/reconciler.ts';
import { readEnvironment } from '../../src/config.ts';
import { compose } from '../../src/main/compose.ts';
import { postgresForTests } from '../support/databases.ts';
import { insertStanding } from '../support/many-rows.ts';
import { startOwnRedis } from '../support/own-redis.ts';
import { newKey } from '../support/processes.ts';
import { productionPlace } from '../support/system-places.ts';

const COUNT = Number(process.env['BENCH_SCHEDULES'] ?? 100_000);
const PERIOD_MS = 23 * 3_600_000;
const PROMISE_S = 60;
const LOOK_EVERY_MS = 50;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** How long the reconciler takes to bring all schedules back after Redis lost everything. Ends with 1 if 100,000 take longer than promised. */
const postgres = await postgresForTests();
if (postgres === null) throw new Error('no Postgres answers');
const server = await startOwnRedis({ flushes: 'everysec' });
const place = await productionPlace({ postgres, redisUrl: server.url });
const redis = new Redis(server.url);
const environment = readEnvironment({
  ...place.settings,
  ENCRYPTION_KEYS: newKey(),
  SOURCES: '{}',
  LOG_LEVEL: 'silent',
});
const composition = await compose(environment);
const { context, census } = composition;
const stop = new AbortController();
try {
  const now = context.clock.now();
  if (place.sql === null) throw new Error('no Postgres');
  await insertStanding({ sql: place.sql, stem: 'bench', count: COUNT, periodMs: PERIOD_MS, now });
  const reconciling = runReconciler({ context, census, signal: stop.signal });
  const first = await restored();
  report('first start, an empty Redis', first);
  await redis.flushall();
  const again = await restored();
  report('FLUSHALL while running, noticed by its mark', again);
  const quiet = await passed();
  say(
    `a pass over ${COUNT} that are well: ${quiet.toFixed(1)} s in a hurry, ${((quiet / COUNT) * 1_000_000).toFixed(0)} s per million`,
  );
  stop.abort();
  await reconciling;
  if ((Math.max(first, again) / COUNT) * 100_000 > PROMISE_S) process.exitCode = 1;
} finally {
  stop.abort();
  await composition.close();
  redis.disconnect();
  await place.close();
  await server.close();
}

function report(what: string, seconds: number): void {
  const rate = COUNT / seconds;
  const { user, system } = process.cpuUsage();
  say(
    `${what}: ${COUNT} schedules back in ${seconds.toFixed(1)} s, ${rate.toFixed(0)} a second, ${(1_000_000 / rate).toFixed(0)} s per million; CPU of this process so far ${((user + system) / 1e6).toFixed(1)} s`,
  );
}

/** Seconds until every schedule is there, with its pending job. */
async function restored(): Promise<number> {
  const startedAt = performance.now();
  const key = `${place.redis?.prefix}:refresh-and-pull`;
  for (;;) {
    const [schedulers, delayed] = await Promise.all([redis.zcard(`${key}:repeat`), redis.zcard(`${key}:delayed`)]);
    if (schedulers === COUNT && delayed === COUNT) return (performance.now() - startedAt) / 1_000;
    await wait(LOOK_EVERY_MS);
  }
}

/** Seconds of one pass in a hurry over a queue in which nothing is wrong. */
async function passed(): Promise<number> {
  await passEnds();
  await redis.set(`${place.redis?.prefix}:mark`, 'of another time');
  const startedAt = performance.now();
  await passEnds();
  return (performance.now() - startedAt) / 1_000;
}

async function passEnds(): Promise<void> {
  const agoMs = async () => (await context.store.reconciled()).lastPass?.agoMs ?? Number.POSITIVE_INFINITY;
  const startedAt = performance.now();
  while ((await agoMs()) > performance.now() - startedAt) await wait(LOOK_EVERY_MS);
}
