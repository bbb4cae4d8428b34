import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { type Environment, readEnvironment } from '../../src/config.ts';
import { parseAuthorizationRequest } from '../../src/contract/wire.ts';
import { UNITS } from '../../src/core/limits.ts';
import type { Store } from '../../src/core/ports/store.ts';
import { accept } from '../../src/flows/accept.ts';
import { type Composition, compose } from '../../src/main/compose.ts';
import { startWorker } from '../../src/main/run.ts';
import { type Counted, countingSource } from './counting-source.ts';
import type { TestPostgres } from './databases.ts';
import { openServers } from './own-servers.ts';
import { newKey } from './processes.ts';
import { QUIET_QUEUE } from './quiet-queue.ts';
import { wrongsOf } from './reconcile-stage.ts';
import { type Place, productionPlace } from './system-places.ts';
import type { Link } from './world.ts';

const SOURCES = JSON.stringify({
  sandbox: {
    kind: 'flexpa',
    baseUrl: 'http://127.0.0.1:9',
    publishableKey: 'pk',
    secretKey: 'sk',
    revokeOnPurge: false,
  },
});
/** Refresh tokens that end so soon that every run spends one: a run too many is then seen at the source. */
const REFRESH_TOKEN_MS = 30 * UNITS.HOUR_MS;
const HANDS = 8;

/** One patient's tokens, for authorizations that are never fetched from anybody. */
export const ANY_LINK: Link = {
  patient: 'Patient/any',
  authorizationId: 'any',
  endpoint: { id: 'any-clinic', name: 'Any Clinic', refreshable: false, network: 'ONC_G10' },
  token: { access_token: 'access-any', expires_in: UNITS.DAY_MS / UNITS.SECOND_MS },
};

/** What of a worker's store answers otherwise than the store does. */
export type StoreChange = (store: Store) => Partial<Store>;

/** A store, a Redis of the test's own that keeps an RDB file and no AOF, and whole workers at them, whose source counts. The clock is the real one. */
export type Losses = {
  readonly redis: Redis;
  /** A process without a worker, which stays while Redis is lost and comes back. */
  readonly composition: Composition;
  readonly sql: NonNullable<Place['sql']>;
  readonly refreshes: readonly Counted[];
  /** What is wrong with the repeating jobs by the store's plans, as `<id> <what>`. */
  readonly wrongs: () => Promise<readonly string[]>;
  /** Accepts standing authorizations, without giving them jobs. */
  readonly accept: (ids: readonly string[]) => Promise<void>;
  /** Moves each to a place in its period that has a slot at that instant, in the store and in the queue; it is the plan too. */
  readonly place: (slots: ReadonlyMap<string, number>) => Promise<void>;
  /** Starts one more process with a worker. */
  readonly deploy: (change?: StoreChange) => Promise<{ readonly stop: () => Promise<void> }>;
  /** Keeps a copy of what Redis holds now. */
  readonly copyRedis: () => Promise<void>;
  /** Ends Redis and starts it with the copy. */
  readonly restoreRedis: () => Promise<void>;
  readonly close: () => Promise<void>;
};

export async function openLosses(postgres: TestPostgres): Promise<Losses> {
  const servers = await openServers();
  const server = await servers.start(['--appendonly', 'no']);
  const place = await productionPlace({ postgres, redisUrl: `redis://127.0.0.1:${server.port}` });
  const { sql } = place;
  if (sql === null) throw new Error('no Postgres');
  const environment = readEnvironment({
    ...place.settings,
    ENCRYPTION_KEYS: newKey(),
    SOURCES,
    LOG_LEVEL: 'silent',
    WORKER_CONCURRENCY: '40',
  });
  const composition = await compose(environment);
  const like = composition.context.sources.get('sandbox');
  if (like === undefined) throw new Error('no source');
  const { wallNow } = composition.context.clock;
  const refreshEnd = { kind: 'after', lifetimeMs: REFRESH_TOKEN_MS } as const;
  const { source, refreshes } = countingSource({ like, wallNow, refreshEnd });
  const running = new Set<() => Promise<void>>();
  const fileIn = (name: string) => join(servers.folder, String(server.port), name);
  const [file, copy] = [fileIn('dump.rdb'), fileIn('copy.rdb')];
  return {
    redis: server.redis,
    composition,
    sql,
    refreshes,
    wrongs: () => wrongsOf({ composition, redis: server.redis, base: `${place.redis?.prefix ?? ''}:refresh-and-pull` }),
    accept: (ids) => acceptQuietly({ composition, ids }),
    place: (slots) => placeAt({ composition, sql, slots }),
    deploy: async (change) => {
      const stop = once(await startProcess({ environment, source, ...(change === undefined ? {} : { change }) }));
      running.add(stop);
      return { stop };
    },
    copyRedis: async () => {
      await server.redis.call('SAVE');
      await copyFile(file, copy);
    },
    restoreRedis: async () => {
      await server.kill();
      await copyFile(copy, file);
      await server.revive();
    },
    close: async () => {
      await Promise.all([...running].map((stop) => stop()));
      await composition.close();
      await place.close();
      await servers.close();
    },
  };
}

async function startProcess({
  environment,
  source,
  change = () => ({}),
}: {
  readonly environment: Environment;
  readonly source: ReturnType<typeof countingSource>['source'];
  readonly change?: StoreChange;
}): Promise<() => Promise<void>> {
  const composed = await compose(environment);
  const { context } = composed;
  const sources = { ...context.sources, get: () => source };
  const store = { ...context.store, ...change(context.store) };
  const worker = await startWorker({
    composition: { ...composed, context: { ...context, sources, store } },
    environment,
  });
  return async () => {
    await worker.stop();
    await composed.close();
  };
}

function once(act: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | null = null;
  return () => {
    done ??= act();
    return done;
  };
}

async function acceptQuietly({
  composition: { context },
  ids,
}: {
  readonly composition: Composition;
  readonly ids: readonly string[];
}): Promise<void> {
  const quiet = { ...context, queue: { ...context.queue, ...QUIET_QUEUE } };
  const left = [...ids];
  const hand = async (): Promise<void> => {
    for (let id = left.shift(); id !== undefined; id = left.shift()) {
      await accept({ context: quiet, request: requestOf(id), actor: 'test' });
    }
  };
  await Promise.all(Array.from({ length: HANDS }, hand));
}

function requestOf(id: string): ReturnType<typeof parseAuthorizationRequest> {
  return parseAuthorizationRequest({
    id,
    source: 'sandbox',
    usage: 'MULTIPLE',
    network: 'ONC_G10',
    // One each, so that no gate is what keeps runs apart.
    endpoint: { id: `clinic-of-${id}` },
    patient: `Patient/${id}`,
    accessToken: `access-${id}`,
    expiresIn: UNITS.DAY_MS / UNITS.SECOND_MS,
    refreshToken: `${id}/0`,
    refreshExpiresIn: REFRESH_TOKEN_MS / UNITS.SECOND_MS,
  });
}

async function placeAt({
  composition: { context, census },
  sql,
  slots,
}: {
  readonly composition: Composition;
  readonly sql: Losses['sql'];
  readonly slots: ReadonlyMap<string, number>;
}): Promise<void> {
  const jobs = (await context.store.plansOf([...slots.keys()])).map(({ id, periodMs }) => {
    const slot = slots.get(id);
    if (periodMs === null || slot === undefined) throw new Error('not standing');
    return { authorizationId: id, periodMs, slot, phase: ((slot + 0.5) % periodMs) / periodMs };
  });
  await sql(
    `update perennial.authorizations set phase = wanted.phase, next_run_at = wanted.slot
      from unnest($1::text[], $2::double precision[], $3::double precision[]) as wanted (name, phase, slot) where id = wanted.name`,
    [jobs.map(({ authorizationId }) => authorizationId), jobs.map(({ phase }) => phase), jobs.map(({ slot }) => slot)],
  );
  await Promise.all(jobs.map(({ slot: _, ...job }) => census.restore({ ...job, instead: 'something' })));
}
