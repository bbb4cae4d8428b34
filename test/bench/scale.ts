import { parseArgs } from 'node:util';
import { readEnvironment } from '../../src/config.ts';
import { UNITS } from '../../src/core/limits.ts';
import type { Context } from '../../src/flows/context.ts';
import { purgesOf } from '../../src/flows/fleet.ts';
import { postgresForTests, type Sql } from '../support/databases.ts';
import { canStartRedis } from '../support/own-redis.ts';
import { postgresPlace } from '../support/system-places.ts';
import { openLanes } from './fleet.ts';
import { median } from './median.ts';
import { processorTime, spentBetween } from './processor-time.ts';
import { bytesEach, composeSettings } from './redis-bytes.ts';
import { startRedisServer } from './redis-server.ts';
import { startTokenServer } from './token-server.ts';

/*
 * Whether an authorization costs the same in a small fleet and in a large one: runs beside more and more rows that are not due, what the rows and the keys of
 * Redis weigh, and how long the looks of sweeps and scrapes take. The fleets take turns in one run, because the machine may be half as fast a minute later. Takes
 * minutes: `npm run bench:scale`. Ends with 1 if a large fleet's authorization costs more than the smallest's by more than is promised.
 */

/** The code is translated and the statements are planned by then; a process that is cold takes twice as long for a run. */
const WARM_UP_ROUNDS = 4;
const LOOKS = 5;
/** What each authorization has a row in. */
const TABLES = ['authorizations', 'tokens', 'leases'];
/** At most so many times what it costs in the smallest fleet. */
const GOAL = 1.1;

type Fleet = {
  readonly size: number;
  readonly sql: Sql;
  readonly context: Context;
  readonly bytesEach: number;
  /** Seconds of processor time for a round of runs, in all and PostgreSQL's. */
  readonly round: () => Promise<{ readonly all: number; readonly postgres: number }>;
};

const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '10000,100000,500000' },
    jobs: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '21' },
  },
});
const sizes = values.sizes.split(',').map(Number);
const jobs = Number(values.jobs);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const postgres = await postgresForTests();
if (postgres === null || !canStartRedis) throw new Error('needs a Postgres and the program redis-server');
await using open = new AsyncDisposableStack();
const server = await startTokenServer();
open.defer(server.close);
const fleets: Fleet[] = [];
for (const size of sizes) fleets.push(await openFleet(size));

const spent = fleets.map((): { all: number; postgres: number }[] => []);
for (let round = 0; round < WARM_UP_ROUNDS + Number(values.rounds); round += 1)
  for (const [at, fleet] of fleets.entries()) {
    const cost = await fleet.round();
    if (round >= WARM_UP_ROUNDS) spent[at]?.push(cost);
  }
const [smallest = []] = spent;
for (const [at, fleet] of fleets.entries()) {
  const rounds = spent[at] ?? [];
  const times = median(rounds.map(({ all }, round) => all / (smallest[round]?.all ?? Number.NaN)));
  const ms = (of: (cost: (typeof rounds)[number]) => number) =>
    `${((median(rounds.map(of)) / jobs) * 1_000).toFixed(2)} ms`;
  say(`${fleet.size} authorizations`);
  say(
    `  ${verdictOf(times)}  processor time of a run: ${ms(({ all }) => all)}, ${ms((cost) => cost.postgres)} of it Postgres'; ${timesOf(times)}`,
  );
  say(`  Postgres: ${fleet.bytesEach.toFixed(0)} bytes each`);
  for (const [name, took] of await looks(fleet.context)) say(`  ${name}: ${took.toFixed(1)} ms`);
}
await sayRedisBytes();

function verdictOf(times: number): string {
  if (times <= GOAL) return 'met   ';
  process.exitCode = 1;
  return 'MISSED';
}

function timesOf(times: number): string {
  return `${times.toFixed(3)} times the smallest fleet's (goal: at most ${GOAL})`;
}

async function sayRedisBytes(): Promise<void> {
  let least: number | null = null;
  for (const size of sizes) {
    const bytes = await bytesEach({ count: size, settings: composeSettings() });
    least ??= bytes;
    say(`${verdictOf(bytes / least)}  Redis: ${bytes.toFixed(0)} bytes each of ${size}; ${timesOf(bytes / least)}`);
  }
}

/** A fleet on a database and a Redis of its own, of which {@link jobs} are due in each round. */
async function openFleet(size: number): Promise<Fleet> {
  if (postgres === null) throw new Error('no Postgres');
  const redis = await startRedisServer({ settings: composeSettings() });
  open.defer(redis.close);
  const place = await postgresPlace(postgres);
  open.defer(place.close);
  const { lanes, sql, context } = await openLanes({
    place,
    redisUrl: redis.url,
    url: server.url,
    jobs,
    concurrency: readEnvironment({}).WORKER_CONCURRENCY,
    defer: (close) => open.defer(close),
  });
  await addRows({ sql, now: context.clock.now(), from: jobs, to: size });
  await sql('vacuum analyze');
  const bytes = await databaseBytes(sql);
  const look = () => processorTime({ sql, redisSeconds: redis.cpuSeconds });
  const round = async () => {
    // Autovacuum comes after a fifth of all rows: in a large fleet so few rows would have gathered dead versions all along, in the smallest they would not.
    await sql(`vacuum (index_cleanup on) ${TABLES.map((name) => `perennial.${name}`).join()}`);
    const before = await look();
    await lanes.ours.run();
    return spentBetween(before, await look());
  };
  return { size, sql, context, bytesEach: bytes / size, round };
}

/** Rows like one that is there, with ids, places and plans of their own; none of them is due. */
async function addRows({
  sql: run,
  now,
  from,
  to,
}: {
  readonly sql: Sql;
  readonly now: number;
  readonly from: number;
  readonly to: number;
}): Promise<void> {
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
  const [row] = await run(
    `select sum(pg_total_relation_size(('perennial.' || name)::regclass)) as bytes
    from unnest($1::text[]) as name`,
    [TABLES],
  );
  return Number(row?.['bytes'] ?? Number.NaN);
}

/** How long each look takes that sweeps and scrapes take all day; the shortest of some. */
async function looks(context: Context): Promise<ReadonlyMap<string, number>> {
  const { store, clock, warnDays } = context;
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
    for (let round = 0; round < LOOKS; round += 1) {
      const since = clock.stopwatch();
      await ask();
      times.push(since());
    }
    took.set(name, Math.min(...times));
  }
  return took;
}
