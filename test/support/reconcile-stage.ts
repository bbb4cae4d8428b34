import { Redis } from 'ioredis';
import { runReconciler } from '../../jobs/reconciler.ts';
import { consume, type JobDefinition } from '../../src/adapters/queue/consume.ts';
import { createLog } from '../../src/adapters/telemetry/log.ts';
import { readEnvironment } from '../../src/config.ts';
import { type Plan, type RepairReason, wantedOf } from '../../src/core/reconcile.ts';
import { slotOf } from '../../src/core/slot.ts';
import { type Composition, compose } from '../../src/main/compose.ts';
import type { TestPostgres } from './databases.ts';
import { insertStanding } from './many-rows.ts';
import { type OwnRedis, startOwnRedis } from './own-redis.ts';
import { newKey } from './processes.ts';
import { type Place, productionPlace } from './system-places.ts';
import { until } from './system-until.ts';

const SOURCES = JSON.stringify({
  sandbox: { kind: 'flexpa', baseUrl: 'http://127.0.0.1:9', publishableKey: 'pk', secretKey: 'sk' },
});
/** Workers of tests restore some thousands beside others that use the same two cores. */
const HEALS_WITHIN_MS = 60_000;

/** A store with many standing authorizations and a Redis that can be emptied, broken and exchanged. */
export type Stage = {
  readonly place: Place;
  readonly redis: Redis;
  /** Keys of the queue of repeating jobs begin with it. */
  readonly base: string;
  readonly composition: Composition;
  readonly sql: NonNullable<Place['sql']>;
  /** Another process' worth of everything. */
  readonly composeAnother: () => Promise<Composition>;
  readonly insert: (stem: string, count: number, periodMs: number) => Promise<void>;
  /** Reconciles until it is stopped; counts the repairs by reason. */
  readonly reconcile: (by?: Composition) => Reconciling;
  /** Takes the jobs of the repeating queue and notes whom they were for. */
  readonly takeJobs: () => { readonly ran: readonly string[]; readonly stop: () => Promise<void> };
  /** What is wrong with the queue by the store, as `<id> <what>`. */
  readonly wrongs: () => Promise<readonly string[]>;
  readonly heals: () => Promise<void>;
  /** Ends Redis and starts it with an older copy of its files. */
  readonly restoreRedis: (folder: string) => Promise<void>;
  readonly server: () => OwnRedis;
  readonly close: () => Promise<void>;
};

export type Reconciling = {
  readonly repairs: ReadonlyMap<RepairReason, number>;
  /** Lines of the log that tell of repairs. */
  readonly lines: readonly string[];
  readonly stop: () => Promise<void>;
};

export async function openStage(postgres: TestPostgres): Promise<Stage> {
  let server = await startOwnRedis({ flushes: 'everysec' });
  const place = await productionPlace({ postgres, redisUrl: server.url });
  const { sql } = place;
  if (sql === null) throw new Error('no Postgres');
  const settings = { ...place.settings, ENCRYPTION_KEYS: newKey(), SOURCES, LOG_LEVEL: 'silent' };
  const composeAnother = () => compose(readEnvironment(settings));
  const composition = await composeAnother();
  const { context } = composition;
  const redis = new Redis(server.url, { retryStrategy: () => 50, maxRetriesPerRequest: null });
  redis.on('error', () => {});
  const base = `${place.redis?.prefix}:refresh-and-pull`;
  const wrongs = () => wrongsOf({ composition, redis, base });
  return {
    place,
    redis,
    base,
    composition,
    sql,
    composeAnother,
    insert: (stem, count, periodMs) => insertStanding({ sql, stem, count, periodMs, now: context.clock.now() }),
    reconcile: (by = composition) => reconciling(by),
    takeJobs: () => takingJobs(composition),
    wrongs,
    heals: async () =>
      void (await until('the queue is as the store has it', wrongs, (all) => all.length === 0, {
        capMs: HEALS_WITHIN_MS,
      })),
    restoreRedis: async (folder) => {
      const port = Number(new URL(server.url).port);
      const next = startOwnRedis.bind(null, { copyOf: folder, port, flushes: 'everysec' });
      await server.close();
      server = await next();
    },
    server: () => server,
    close: async () => {
      redis.disconnect();
      await composition.close();
      await place.close();
      await server.close();
    },
  };
}

function reconciling(composition: Composition): Reconciling {
  const repairs = new Map<RepairReason, number>();
  const lines: string[] = [];
  const { context, census } = composition;
  const log = createLog({
    level: 'info',
    destination: { write: (line) => line.includes('"event":"repaired"') && lines.push(line) },
    now: context.clock.wallNow,
  });
  const metrics = {
    ...context.metrics,
    drift: (labels: { readonly what: string; readonly reason: string }) => {
      context.metrics.drift(labels);
      // The reasons are a closed set, which this port does not know.
      const reason = labels.reason as RepairReason;
      repairs.set(reason, (repairs.get(reason) ?? 0) + 1);
    },
  };
  const stopping = new AbortController();
  const running = runReconciler({ context: { ...context, log, metrics }, census, signal: stopping.signal });
  return {
    repairs,
    lines,
    stop: async () => {
      stopping.abort();
      await running;
    },
  };
}

function takingJobs({ backend, context: { clock, log, metrics } }: Composition): ReturnType<Stage['takeJobs']> {
  const ran: string[] = [];
  const definition: JobDefinition = {
    queue: 'refresh-and-pull',
    run: async ({ payload }) => {
      ran.push(String(payload['authorizationId']));
      return { kind: 'done', reason: 'counted' };
    },
  };
  const signal = new AbortController().signal;
  const consumers = consume({ backend, definitions: [definition], concurrency: 20, clock, log, metrics, signal });
  return { ran, stop: () => consumers.close({ force: false }) };
}

/** What is wrong with the repeating jobs by the store's plans. Asked of Redis itself, so that a census which is wrong does not judge itself. */
export async function wrongsOf({
  composition: { context },
  redis,
  base,
}: {
  readonly composition: Composition;
  readonly redis: Redis;
  readonly base: string;
}): Promise<readonly string[]> {
  const plans = await allPlans(context.store);
  const now = context.clock.wallNow();
  const wrong: string[] = [];
  const schedulers = pairsOf(await redis.zrange(`${base}:repeat`, '0', '-1', 'WITHSCORES'));
  const delayed = pairsOf(await redis.zrange(`${base}:delayed`, '0', '-1', 'WITHSCORES'));
  const hashes = redis.pipeline();
  for (const { id } of plans) hashes.hmget(`${base}:repeat:${id}`, 'every', 'offset');
  const facts = (await hashes.exec()) ?? [];
  for (const [index, plan] of plans.entries()) {
    const { id, phase } = plan;
    const slot = plan.periodMs === null ? null : slotOf({ id, everyMs: plan.periodMs, phase, now });
    const wanted = wantedOf({ plan, slot, toWall: (at) => at, now });
    const next = schedulers.get(id);
    const pending = delayed.get(`repeat:${id}:${next}`);
    if (wanted.repeating === null) {
      if (next !== undefined) wrong.push(`${id} has a scheduler`);
    } else if (next !== wanted.repeating.slot.next || String(facts[index]?.[1]) !== `${slot?.every},${slot?.offset}`) {
      wrong.push(`${id} has another scheduler`);
    } else if (pending === undefined || Math.abs(pending / 4_096 - next) > 2_000)
      wrong.push(`${id} has no pending run at its slot`);
  }
  const known = new Set(plans.map(({ id }) => id));
  for (const id of schedulers.keys()) if (!known.has(id)) wrong.push(`${id} is nobody's`);
  const own = plans.filter(({ id }) => delayed.has(`repeat:${id}:${schedulers.get(id)}`)).length;
  if (delayed.size !== own) wrong.push(`${delayed.size - own} jobs too many`);
  return wrong;
}

async function allPlans(store: Composition['context']['store']): Promise<readonly Plan[]> {
  const all: Plan[] = [];
  for (let after: string | null = null; ; ) {
    const page = await store.plans({ after, limit: 1_000 });
    all.push(...page);
    if (page.length < 1_000) return all;
    after = page.at(-1)?.id ?? null;
  }
}

function pairsOf(flat: readonly string[]): ReadonlyMap<string, number> {
  return new Map(flat.flatMap((member, at) => (at % 2 === 0 ? [[member, Number(flat[at + 1])] as const] : [])));
}
