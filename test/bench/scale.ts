import { parseArgs } from 'node:util';
import { UNITS } from '../../src/core/limits.ts';
import type { Context } from '../../src/flows/context.ts';
import { purgesOf } from '../../src/flows/fleet.ts';
import { postgresForTests, type Sql } from '../support/databases.ts';
import { canStartRedis } from '../support/own-redis.ts';
import { postgresPlace } from '../support/system-places.ts';
import { openLanes } from './fleet.ts';
import { processorTime, spentBetween } from './processor-time.ts';
import { composeSettings } from './redis-bytes.ts';
import { startRedisServer } from './redis-server.ts';
import { startTokenServer } from './token-server.ts';

/*
 * Whether an authorization costs the same in a small fleet and in a large one: a few hundred runs beside more and more rows that are not due, what the rows and
 * the keys of Redis weigh, and how long the looks of sweeps and scrapes take. Takes minutes: `npm run bench:scale`.
 */

const ROUNDS = 5;
/** The code is translated and the statements are planned by then; a process that is cold takes twice as long for a run. */
const WARM_UP_ROUNDS = 12;
/** As a worker takes by itself. */
const CONCURRENCY = 10;
const MB = 1e6;

const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '10000,100000,500000' },
    jobs: { type: 'string', default: '400' },
  },
});
const sizes = values.sizes.split(',').map(Number);
const jobs = Number(values.jobs);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const postgres = await postgresForTests();
if (postgres === null || !canStartRedis) throw new Error('needs a Postgres and the program redis-server');
await using open = new AsyncDisposableStack();
const redis = await startRedisServer({ settings: composeSettings() });
open.defer(redis.close);
const place = await postgresPlace(postgres);
open.defer(place.close);
const server = await startTokenServer();
open.defer(server.close);
const { lanes, sql, context } = await openLanes({
  place,
  redisUrl: redis.url,
  url: server.url,
  jobs,
  concurrency: CONCURRENCY,
  defer: (close) => open.defer(close),
});
for (let round = 0; round < WARM_UP_ROUNDS; round += 1) await lanes.ours.run();
let rows = jobs;
for (const size of sizes) {
  await addRows({ sql, from: rows, to: size });
  rows = size;
  await sql('vacuum analyze');
  say(`${size} authorizations`);
  say(`  Postgres: ${(await databaseBytes(sql)) / size / 1_000} kB each`);
  const costs: { readonly seconds: number; readonly postgres: number; readonly all: number }[] = [];
  const look = () => processorTime({ sql, redisSeconds: redis.cpuSeconds });
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = await look();
    const seconds = await lanes.ours.run();
    const { postgres: database, all } = spentBetween(before, await look());
    costs.push({ seconds, postgres: database, all });
  }
  const least = (of: (cost: (typeof costs)[number]) => number) => Math.min(...costs.map(of));
  say(
    `  a run: ${ms(least(({ all }) => all) / jobs)} of processor time, ${ms(least((cost) => cost.postgres) / jobs)} of it Postgres'; ${(jobs / least(({ seconds }) => seconds)).toFixed(0)} a second`,
  );
  for (const [name, took] of await looks(context)) say(`  ${name}: ${took.toFixed(1)} ms`);
}

function ms(seconds: number): string {
  return `${(seconds * 1_000).toFixed(2)} ms`;
}

/** Rows like one that is there, with ids, places and plans of their own; none of them is due. */
async function addRows({
  sql: run,
  from,
  to,
}: {
  readonly sql: Sql;
  readonly from: number;
  readonly to: number;
}): Promise<void> {
  const now = context.clock.now();
  const id = `'other-' || lpad(at::text, 12, '0')`;
  const like = (table: string, key: string, differs: string) => `
    insert into perennial.${table} select (jsonb_populate_record(one, ${differs})).*
    from perennial.${table} as one, generate_series($1::integer, $2::integer - 1) as at where ${key} = 'bench-0'`;
  const plan = `'next_run_at', ${now + UNITS.DAY_MS} + random() * ${UNITS.DAY_MS}, 'fresh_as_of', ${now} - random() * ${UNITS.DAY_MS}`;
  await run(like('authorizations', 'id', `jsonb_build_object('id', ${id}, 'phase', random(), ${plan})`), [from, to]);
  for (const table of ['tokens', 'leases'])
    await run(like(table, 'authorization_id', `jsonb_build_object('authorization_id', ${id})`), [from, to]);
}

async function databaseBytes(run: Sql): Promise<number> {
  const [row] = await run(`select sum(pg_total_relation_size(('perennial.' || name)::regclass)) as bytes
    from unnest(array['authorizations', 'tokens', 'leases']) as name`);
  return Number(row?.['bytes'] ?? Number.NaN);
}

/** How long each look takes that sweeps and scrapes take all day; the shorter of two. */
async function looks({ store, clock, warnDays }: Context): Promise<ReadonlyMap<string, number>> {
  const now = clock.now();
  const limit = 100;
  const all: Readonly<Record<string, () => Promise<unknown>>> = {
    overdueRuns: () => store.overdueRuns({ before: now - UNITS.HOUR_MS, limit }),
    duePurges: () => store.duePurges({ now, limit }),
    orphanIntents: () => store.orphanIntents({ limit }),
    dueWarnings: () => store.dueWarnings({ now, limit }),
    purgesOf: () => purgesOf(context),
    oldestFreshAsOf: store.oldestFreshAsOf,
    phaseLoads: () => store.phaseLoads({ network: 'TEFCA_IAS', buckets: [1, 2] }),
    'countByState (kept by scrapes)': store.countByState,
    'countEnding (kept by scrapes)': () => store.countEnding({ before: now + (warnDays[0] ?? 14) * UNITS.DAY_MS }),
  };
  const took = new Map<string, number>();
  for (const [name, ask] of Object.entries(all)) {
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const since = clock.stopwatch();
      await ask();
      times.push(since());
    }
    took.set(name, Math.min(...times));
  }
  return took;
}

say(`Redis: ${((await redis.usedBytes()) / MB).toFixed(1)} MB in all for the ${jobs} that run`);
