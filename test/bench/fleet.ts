import { Queue } from 'bullmq';
import { refreshAndPullJob } from '../../jobs/refresh-and-pull.ts';
import { consume } from '../../src/adapters/queue/consume.ts';
import { readEnvironment } from '../../src/config.ts';
import { parseAuthorizationRequest } from '../../src/contract/wire.ts';
import type { Context } from '../../src/flows/context.ts';
import { createService } from '../../src/flows/serve.ts';
import { compose } from '../../src/main/compose.ts';
import { postgresForTests, type Sql } from '../support/databases.ts';
import { canStartRedis } from '../support/own-redis.ts';
import { newKey } from '../support/processes.ts';
import { QUIET_QUEUE } from '../support/quiet-queue.ts';
import { type Place, postgresPlace } from '../support/system-places.ts';
import type { Figure } from './figure.ts';
import { type Counter, counter, type Lane, openBare, openNoOps, promoted } from './fleet-lanes.ts';
import { median } from './median.ts';
import { type ProcessorTime, processorTime, spentBetween } from './processor-time.ts';
import { startRedisServer } from './redis-server.ts';
import { startTokenServer } from './token-server.ts';

/*
 * What a run of the repeating job costs with all its bookkeeping: the lease, the decision, a refresh over HTTP behind a durable intent, the new pair, the
 * next run. Beside it what BullMQ costs alone, and what the request and one commit cost alone. Where others want the machine too, processor time says more.
 */

const WARM_UP_ROUNDS = 1;
/** Calls under way at once while authorizations are made. */
const HANDS = 10;
const POOL_SIZE = 10;
const GOAL_OF_BARE = 0.5;
/** Enough that no endpoint's gate is ever full. */
const ENDPOINTS = 50;

type Spent = { readonly seconds: number; readonly cpu: ReturnType<typeof spentBetween> };
type Round = { readonly ours: Spent; readonly noOps: Spent; readonly bare: Spent };
type Lanes = { readonly ours: Lane; readonly noOps: Lane; readonly bare: Lane };

/** Jobs a second in rounds that take turns; null where Redis or Postgres is missing. */
export async function benchFleet({
  rounds: wanted,
  jobs,
  concurrency,
  hasGoal,
}: {
  readonly rounds: number;
  readonly jobs: number;
  /** Runs at once, in all lanes. */
  readonly concurrency: number;
  readonly hasGoal: boolean;
}): Promise<{ readonly figures: readonly Figure[]; readonly cpuMsPerRun: ProcessorTime } | null> {
  const postgres = await postgresForTests();
  if (postgres === null || !canStartRedis) return null;
  await using open = new AsyncDisposableStack();
  const redis = await startRedisServer();
  open.defer(redis.close);
  const place = await postgresPlace(postgres);
  open.defer(place.close);
  const server = await startTokenServer();
  open.defer(server.close);
  const { lanes, sql } = await openLanes({
    place,
    redisUrl: redis.url,
    url: server.url,
    jobs,
    concurrency,
    defer: (close) => open.defer(close),
  });
  const look = () => processorTime({ sql, redisSeconds: redis.cpuSeconds });
  const spent = async (lane: Lane): Promise<Spent> => {
    const before = await look();
    const seconds = await lane.run();
    return { seconds, cpu: spentBetween(before, await look()) };
  };
  const rounds: Round[] = [];
  for (let round = 0; round < WARM_UP_ROUNDS + wanted; round += 1) {
    const bare = await spent(lanes.bare);
    const before = await server.requests();
    const ours = await spent(lanes.ours);
    const refreshed = (await server.requests()) - before;
    // A few come to their own slot meanwhile: one before its turn refreshes once more, one after it finds nothing to do.
    if (refreshed < jobs * 0.99 || refreshed > jobs * 1.1) throw new Error(`${refreshed} refreshes in ${jobs} runs`);
    rounds.push({ ours, noOps: await spent(lanes.noOps), bare });
  }
  const counted = rounds.slice(WARM_UP_ROUNDS);
  const perRun = (of: (cpu: Spent['cpu']) => number) =>
    (median(counted.map(({ ours }) => of(ours.cpu))) / jobs) * 1_000;
  const cpuMsPerRun = {
    node: perRun(({ node }) => node),
    postgres: perRun(({ postgres: seconds }) => seconds),
    redis: perRun(({ redis: seconds }) => seconds),
  };
  return {
    figures: figuresOf({ rounds: counted, jobs, concurrency, goal: hasGoal ? GOAL_OF_BARE : null }),
    cpuMsPerRun,
  };
}

function figuresOf({
  rounds,
  jobs,
  concurrency,
  goal,
}: {
  readonly rounds: readonly Round[];
  readonly jobs: number;
  readonly concurrency: number;
  readonly goal: number | null;
}): readonly Figure[] {
  const figure = (
    name: string,
    base: 'noOps' | 'bare',
    of: (spent: Spent) => number,
    wanted: number | null = null,
  ): Figure => ({
    name,
    ours: jobs / median(rounds.map(({ ours }) => of(ours))),
    base: jobs / median(rounds.map((round) => of(round[base]))),
    unit: 'jobs/s',
    ratio: median(rounds.map((round) => of(round[base]) / of(round.ours))),
    goal: wanted,
  });
  const wall = ({ seconds }: Spent) => seconds;
  const cpu = (spent: Spent) => spent.cpu.all;
  const name = `refresh run with all bookkeeping, ${concurrency} at once`;
  return [
    figure(`${name} / the POST and one commit`, 'bare', wall, goal),
    figure(`${name} / the POST and one commit, processor time of all processes`, 'bare', cpu),
    figure(`${name} / BullMQ no-op scheduled jobs`, 'noOps', wall),
    figure(`${name} / BullMQ no-op scheduled jobs, processor time of all processes`, 'noOps', cpu),
  ];
}

/** Opens a Perennial with authorizations whose runs are due together, and what it is compared with. */
export async function openLanes({
  place,
  redisUrl,
  url,
  jobs,
  concurrency,
  defer,
}: {
  readonly place: Place;
  readonly redisUrl: string;
  readonly url: string;
  readonly jobs: number;
  readonly concurrency: number;
  readonly defer: (close: () => Promise<void>) => void;
}): Promise<{ readonly lanes: Lanes; readonly sql: Sql; readonly context: Context }> {
  const keys = { publishableKey: 'pk_test_bench', secretKey: 'sk_test_bench' };
  const environment = readEnvironment({
    ...place.settings,
    REDIS_URL: redisUrl,
    ENCRYPTION_KEYS: newKey(),
    SOURCES: JSON.stringify({ bench: { kind: 'flexpa', baseUrl: url, ...keys } }),
    LOG_LEVEL: 'silent',
  });
  const composition = await compose(environment);
  defer(composition.close);
  const { context, backend } = composition;
  await acceptAll({ context, jobs });
  const runs = counter();
  const consumers = startConsumers({ context, backend, runs, concurrency });
  defer(() => consumers.close({ force: false }));
  const prefix = environment.QUEUE_PREFIX;
  const queue = new Queue('refresh-and-pull', { connection: { url: redisUrl }, prefix });
  defer(() => queue.close());
  const source = context.sources.get('bench');
  const databaseUrl = place.settings['DATABASE_URL'];
  const { sql } = place;
  if (source === undefined || databaseUrl === undefined || sql === null) throw new Error('no source or database');
  const ours = async (): Promise<number> => {
    await makeDue({ sql, now: context.clock.now() });
    return promoted({ queue, count: jobs, runs });
  };
  const noOps = await openNoOps({ redisUrl, count: jobs, concurrency });
  defer(noOps.close);
  const bare = await openBare({ databaseUrl, source, count: jobs, concurrency, poolSize: POOL_SIZE });
  defer(bare.close);
  return { lanes: { ours: { run: ours, close: async () => {} }, noOps, bare }, sql, context };
}

/** Every run is due, every access token has just expired, and every pull is of a moment ago: what runs refreshes and does not pull. */
async function makeDue({ sql, now }: { readonly sql: Sql; readonly now: number }): Promise<void> {
  const last = `last_pull_at = $1, last_pull_result = 'complete', last_pull_duration_ms = 1, fresh_as_of = $1`;
  const ours = (id: string) => `${id} >= 'bench-' and ${id} < 'bench.'`;
  await sql(`update perennial.tokens set access_expires_at = $1 where ${ours('authorization_id')}`, [now]);
  await sql(`update perennial.authorizations set next_run_at = $1, ${last} where ${ours('id')}`, [now]);
}

async function acceptAll({ context, jobs }: { readonly context: Context; readonly jobs: number }): Promise<void> {
  // Without the first pull, of which there is nothing here.
  const service = createService({ ...context, queue: { ...context.queue, add: QUIET_QUEUE.add } });
  let next = 0;
  const hand = async (): Promise<void> => {
    for (let at = next++; at < jobs; at = next++) {
      const request = parseAuthorizationRequest({
        id: `bench-${at}`,
        source: 'bench',
        usage: 'MULTIPLE',
        network: 'TEFCA_IAS',
        endpoint: { id: `bench-${at % ENDPOINTS}` },
        patient: `Patient/bench-${at}`,
        accessToken: 'access',
        expiresIn: 3_600,
        refreshToken: 'refresh',
        refreshExpiresIn: 0,
      });
      await service.accept({ request, actor: 'bench' });
    }
  };
  await Promise.all(Array.from({ length: HANDS }, hand));
}

function startConsumers({
  context,
  backend,
  runs,
  concurrency,
}: Pick<Awaited<ReturnType<typeof compose>>, 'context' | 'backend'> & {
  readonly runs: Counter;
  readonly concurrency: number;
}) {
  const { clock, log, metrics } = context;
  return consume({
    backend,
    definitions: [refreshAndPullJob(context)],
    concurrency,
    clock,
    log,
    metrics: {
      ...metrics,
      job: (job) => {
        metrics.job(job);
        runs.add();
      },
    },
    signal: new AbortController().signal,
  });
}
