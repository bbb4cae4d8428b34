import { Queue } from 'bullmq';
import { refreshAndPullJob } from '../../jobs/refresh-and-pull.ts';
import { consume } from '../../src/adapters/queue/consume.ts';
import { readEnvironment } from '../../src/config.ts';
import { parseAuthorizationRequest } from '../../src/contract/wire.ts';
import type { Context } from '../../src/flows/context.ts';
import { createService } from '../../src/flows/serve.ts';
import { compose } from '../../src/main/compose.ts';
import { newKey } from '../support/processes.ts';
import { findServices, type Place, productionPlace } from '../support/system-places.ts';
import type { Figure } from './figure.ts';
import { type Counter, counter, type Lane, openBare, openNoOps, promoted } from './fleet-lanes.ts';
import { startTokenServer } from './token-server.ts';

/*
 * What a run of the repeating job costs with all its bookkeeping: the lease, the decision, a refresh over HTTP behind a durable intent, the new pair, the
 * next run. Beside it what BullMQ costs alone, and what the request and one commit cost alone.
 */

/** Jobs of a round: a second or more, so that what starts and ends a round does not count. */
const JOBS = 1_000;
const WARM_UP_ROUNDS = 1;
/** As a worker takes by itself. */
const CONCURRENCY = 10;
const POOL_SIZE = 10;
const GOAL_OF_BARE = 0.5;

/** Jobs a second in rounds that take turns; null where Redis or Postgres is missing. */
export async function benchFleet({ rounds }: { readonly rounds: number }): Promise<readonly Figure[] | null> {
  const { postgres, redisUrl } = await findServices();
  if (postgres === null || redisUrl === null) return null;
  await using open = new AsyncDisposableStack();
  const place = await productionPlace({ postgres, redisUrl });
  open.defer(place.close);
  const server = await startTokenServer();
  open.defer(server.close);
  const lanes = await openLanes({ place, redisUrl, url: server.url, defer: (close) => open.defer(close) });
  const seconds: { readonly ours: number; readonly noOps: number; readonly bare: number }[] = [];
  for (let round = 0; round < WARM_UP_ROUNDS + rounds; round += 1) {
    const bare = await lanes.bare.run();
    const before = await server.requests();
    const ours = await lanes.ours.run();
    const refreshed = (await server.requests()) - before;
    if (process.env["DBG"]) console.log({bare, ours, refreshed});
    const noOps = await lanes.noOps.run();
    seconds.push({ ours, noOps, bare: (bare + (await lanes.bare.run())) / 2 });
  }
  const counted = seconds.slice(WARM_UP_ROUNDS);
  const speed = (of: (round: (typeof counted)[number]) => number) => JOBS / median(counted.map(of));
  const figure = (name: string, base: 'noOps' | 'bare', goal: number | null): Figure => ({
    name,
    ours: speed(({ ours }) => ours),
    base: speed((round) => round[base]),
    unit: 'jobs/s',
    ratio: median(counted.map((round) => round[base] / round.ours)),
    goal,
  });
  return [
    figure('refresh run with all bookkeeping / POST and one commit', 'bare', GOAL_OF_BARE),
    figure('refresh run with all bookkeeping / BullMQ no-op scheduled jobs', 'noOps', null),
  ];
}

async function openLanes({
  place,
  redisUrl,
  url,
  defer,
}: {
  readonly place: Place;
  readonly redisUrl: string;
  readonly url: string;
  readonly defer: (close: () => Promise<void>) => void;
}): Promise<{ readonly ours: Lane; readonly noOps: Lane; readonly bare: Lane }> {
  const { KEY_DATABASE_URL: _files, ...settings } = place.settings;
  const keys = { publishableKey: 'pk_test_bench', secretKey: 'sk_test_bench' };
  const environment = readEnvironment({
    ...settings,
    ENCRYPTION_KEYS: newKey(),
    SOURCES: JSON.stringify({ bench: { kind: 'flexpa', baseUrl: url, ...keys } }),
    LOG_LEVEL: 'silent',
  });
  const composition = await compose(environment);
  defer(composition.close);
  const { context, backend } = composition;
  await acceptAll(context);
  const runs = counter();
  const consumers = startConsumers({ context, backend, runs });
  defer(() => consumers.close({ force: false }));
  const prefix = environment.QUEUE_PREFIX;
  const queue = new Queue('refresh-and-pull', { connection: { url: redisUrl }, prefix });
  defer(() => queue.close());
  const source = context.sources.get('bench');
  const { databaseUrl, sql } = { databaseUrl: settings['DATABASE_URL'], sql: place.sql };
  if (source === undefined || databaseUrl === undefined || sql === null) throw new Error('no source or database');
  const ours = async (): Promise<number> => {
    const now = context.clock.now();
    await sql('update perennial.tokens set access_expires_at = $1', [now]);
    const last = `last_pull_at = $1, last_pull_result = 'complete', last_pull_duration_ms = 1, fresh_as_of = $1`;
    await sql(`update perennial.authorizations set next_run_at = $1, ${last}`, [now]);
    return promoted({ queue, count: JOBS, runs });
  };
  const noOps = await openNoOps({ redisUrl, count: JOBS, concurrency: CONCURRENCY });
  defer(noOps.close);
  const bare = await openBare({ databaseUrl, source, count: JOBS, concurrency: CONCURRENCY, poolSize: POOL_SIZE });
  defer(bare.close);
  return { ours: { run: ours, close: async () => {} }, noOps, bare };
}

async function acceptAll(context: Context): Promise<void> {
  const service = createService(context);
  let next = 0;
  const hand = async (): Promise<void> => {
    for (let at = next++; at < JOBS; at = next++) {
      const request = parseAuthorizationRequest({
        id: `bench-${at}`,
        source: 'bench',
        usage: 'MULTIPLE',
        network: 'TEFCA_IAS',
        endpoint: { id: 'bench' },
        patient: `Patient/bench-${at}`,
        accessToken: 'access',
        expiresIn: 3_600,
        refreshToken: 'refresh',
        refreshExpiresIn: 0,
      });
      await service.accept({ request, actor: 'bench' });
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, hand));
}

function startConsumers({
  context,
  backend,
  runs,
}: Pick<Awaited<ReturnType<typeof compose>>, 'context' | 'backend'> & { readonly runs: Counter }) {
  const { clock, log, metrics } = context;
  return consume({
    backend,
    definitions: [refreshAndPullJob(context)],
    concurrency: CONCURRENCY,
    clock,
    log,
    metrics: { ...metrics, job: (job) => (metrics.job(job), runs.add()) },
    signal: new AbortController().signal,
  });
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
