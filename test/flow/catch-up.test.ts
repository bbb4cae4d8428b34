import { Redis } from 'ioredis';
import { afterAll, describe, expect, test } from 'vitest';
import { readEnvironment } from '../../src/config.ts';
import type { AuthorizationRequest } from '../../src/contract/wire.ts';
import { parseAuthorizationRequest } from '../../src/contract/wire.ts';
import { accept } from '../../src/flows/accept.ts';
import { type Composition, compose } from '../../src/main/compose.ts';
import { startWorker } from '../../src/main/run.ts';
import { countingSource } from '../support/counting-source.ts';
import { canStartRedis, startOwnRedis } from '../support/own-redis.ts';
import { newKey } from '../support/processes.ts';
import { QUIET_QUEUE } from '../support/quiet-queue.ts';
import { findServices, missingOf, productionPlace } from '../support/system-places.ts';
import { until } from '../support/system-until.ts';

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
/** More than are left to just run. */
const COUNT = 150;
/** A minute of the domain, behind which no job waits for its plan, is six seconds here. */
const SPEED = 10;
const HANDS = 8;
const services = await findServices();
const { postgres } = services;
const closers: (() => Promise<void>)[] = [];

afterAll(async () => {
  for (const close of closers.splice(0).reverse()) await close();
}, 60_000);

if (postgres === null || !canStartRedis) {
  describe.skip(`two days of downtime ${missingOf(services)}`, () => {
    test('are caught up with', () => undefined);
  });
} else {
  describe('after two days of downtime', () => {
    test(`${COUNT} overdue authorizations run once each, spread, whoever of two workers that start at once takes them`, async () => {
      const server = await startOwnRedis({ flushes: 'everysec' });
      closers.push(server.close);
      const place = await productionPlace({ postgres, redisUrl: server.url });
      closers.push(place.close);
      const environment = readEnvironment({
        ...place.settings,
        CLOCK_SPEED: String(SPEED),
        CLOCK_EPOCH_MS: String(Date.now()),
        ENCRYPTION_KEYS: newKey(),
        SOURCES: JSON.stringify({
          counted: { kind: 'flexpa', baseUrl: 'http://127.0.0.1:9', publishableKey: 'pk', secretKey: 'sk' },
        }),
        LOG_LEVEL: 'silent',
        WORKER_CONCURRENCY: '40',
      });
      const made = await compose(environment);
      const like = made.context.sources.get('counted');
      if (like === undefined) throw new Error('no source');
      const counted = countingSource({ like, wallNow: made.context.clock.wallNow });
      const first = withSource(made, counted.source);
      const second = withSource(await compose(environment), counted.source);
      closers.push(first.close, second.close);
      await acceptAll(first);
      await letTwoDaysPass({
        composition: first,
        sql: place.sql,
        redisUrl: server.url,
        prefix: place.redis?.prefix ?? '',
      });
      const startedAt = made.context.clock.wallNow();
      const workers = await Promise.all(
        [first, second].map((composition) => startWorker({ composition, environment })),
      );
      closers.push(...workers.map(({ stop }) => stop));
      await until(
        'all of them to run',
        () => counted.pages.length,
        (pages) => pages >= COUNT,
        { capMs: 90_000 },
      );
      await until('a while', elapsed(1_000), (over) => over);
      // Each once, and none of them at once.
      expect(new Set(counted.refreshes.map(({ id }) => id)).size).toBe(COUNT);
      expect(counted.refreshes).toHaveLength(COUNT);
      expect(counted.pages).toHaveLength(COUNT);
      const after = counted.refreshes.map(({ at }) => at - startedAt).sort((left, right) => left - right);
      expect(after[0]).toBeGreaterThan(MINUTE_MS / SPEED - 1_000);
      const inASecond = after.map((at) => after.filter((other) => other >= at && other < at + 1_000).length);
      expect(Math.max(...inASecond)).toBeLessThan(COUNT * 0.6);
    }, 150_000);
  });
}

function withSource(composition: Composition, source: ReturnType<typeof countingSource>['source']): Composition {
  const { context } = composition;
  return { ...composition, context: { ...context, sources: { ...context.sources, get: () => source } } };
}

/** Without jobs, since the downtime is made afterwards. */
async function acceptAll({ context }: Composition): Promise<void> {
  const quiet = { ...context, queue: { ...context.queue, ...QUIET_QUEUE } };
  const left = Array.from({ length: COUNT }, (_, index) => index);
  const hand = async (): Promise<void> => {
    for (let index = left.pop(); index !== undefined; index = left.pop()) {
      await accept({ context: quiet, request: requestOf(`member-${index}`, index), actor: 'test' });
    }
  };
  await Promise.all(Array.from({ length: HANDS }, hand));
}

function requestOf(id: string, index: number): AuthorizationRequest {
  return parseAuthorizationRequest({
    id,
    source: 'counted',
    usage: 'MULTIPLE',
    network: 'ONC_G10',
    // Ten endpoints, so that no gate is what spreads them.
    endpoint: { id: `clinic-${index % 10}` },
    patient: `Patient/${index}`,
    accessToken: `access-${id}`,
    expiresIn: 86_400,
    refreshToken: `${id}/0`,
  });
}

/** As a store and a Redis stand that nobody served for two days: plans, tokens and pending runs lie in the past. The next slots are hours away. */
async function letTwoDaysPass({
  composition: { context, census },
  sql,
  redisUrl,
  prefix,
}: {
  readonly composition: Composition;
  readonly sql: Awaited<ReturnType<typeof productionPlace>>['sql'];
  readonly redisUrl: string;
  readonly prefix: string;
}): Promise<void> {
  const { clock, store } = context;
  const now = clock.now();
  const wall = (await store.plans({ after: null, limit: 1 }))[0]?.periodMs ?? 0;
  const every = Math.round(clock.toWallMs(wall));
  // A phase is a place in the period on the wall; these have their slots between a half and three quarters of a period ahead.
  const here = (clock.wallNow() % every) / every;
  await sql?.(
    `update perennial.authorizations set phase = ($1::double precision + 0.5 + 0.25 * (hashtext(id) & 1023) / 1024) - floor($1::double precision + 0.5 + 0.25 * (hashtext(id) & 1023) / 1024),
      next_run_at = $2::double precision - 47 * 3600000.0 + (hashtext(id) & 1023), fresh_as_of = $2::double precision - 70 * 3600000.0`,
    [here, now],
  );
  await sql?.('update perennial.tokens set access_expires_at = $1', [now - 24 * HOUR_MS]);
  const redis = new Redis(redisUrl);
  const base = `${prefix}:refresh-and-pull`;
  for (const { id, periodMs, phase } of await store.plans({ after: null, limit: COUNT })) {
    if (periodMs === null) throw new Error('no period');
    await census.restore({ authorizationId: id, periodMs, phase, instead: 'nothing' });
    const slot = Number(await redis.zscore(`${base}:repeat`, id));
    const past = slot - 2 * every;
    await redis.rename(`${base}:repeat:${id}:${slot}`, `${base}:repeat:${id}:${past}`);
    await redis.zrem(`${base}:delayed`, `repeat:${id}:${slot}`);
    await redis.zadd(`${base}:delayed`, past * 4_096, `repeat:${id}:${past}`);
    await redis.zadd(`${base}:repeat`, past, id);
  }
  redis.disconnect();
}

function elapsed(ms: number): () => boolean {
  const from = performance.now();
  return () => performance.now() - from >= ms;
}
