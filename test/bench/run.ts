import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { FLEXPA_TYPES } from '../../src/adapters/upstream/fhir-types.ts';
import { readEnvironment } from '../../src/config.ts';
import { postgresForTests } from '../support/databases.ts';
import { embeddedPlace, postgresPlace } from '../support/system-places.ts';
import { type Corpus, folderCorpus, sandboxCorpus } from './corpus.ts';
import type { Figure } from './figure.ts';
import { figuresOf } from './figures.ts';
import { benchFleet } from './fleet.ts';
import { openHouse } from './house.ts';
import { startPageServer } from './page-server.ts';
import type { ProcessorTime } from './processor-time.ts';
import { benchRedisBytes } from './redis-bytes.ts';
import { playRound, type Round } from './rounds.ts';
import { openScript } from './script.ts';
import { benchSlicing } from './slicing.ts';

/*
 * What a pull costs, end to end over HTTP and the database, beside what else could be done with the same bytes. Every figure is a ratio within this
 * run: the machine may be as slow as it likes.
 */

const DEFAULT_ROUNDS = '5';
/** About 50 MB. */
const DEFAULT_RESOURCES = '20000';
/** The least in a round, and for each of those that run at once: at the beginning BullMQ fetches one job after the other, and at the end places stay empty. */
const DEFAULT_JOBS = '4000';
const JOBS_PER_PLACE = 80;
/** As many runs at once as a worker does by itself, last; and so few that each waits for every answer alone. */
const { WORKER_CONCURRENCY: BY_DEFAULT } = readEnvironment({});
const CONCURRENCIES = [10, BY_DEFAULT] as const;
/** Authorizations whose keys are weighed; from here on the weight of each stays. */
const WEIGHED = 10_000;
/** The script's speed is the same for every page, and it is slow: it gets the first pages up to here. */
const SCRIPT_BYTES = 3e6;
const WARM_UP_ROUNDS = 1;

type Measured = {
  readonly corpus: Corpus;
  readonly database: string;
  readonly rounds: readonly Round[];
  readonly figures: readonly Figure[];
};
type Options = { readonly folder: string | undefined; readonly rounds: number; readonly resources: number };

async function measure({ folder, rounds: wanted, resources }: Options): Promise<Measured> {
  await using open = new AsyncDisposableStack();
  const postgres = await postgresForTests();
  const place = postgres === null ? await embeddedPlace() : await postgresPlace(postgres);
  open.defer(place.close);
  const server = await startPageServer();
  open.defer(server.close);
  const { url } = server;
  const corpus = folder === undefined ? sandboxCorpus({ url, resources }) : folderCorpus({ url, folder });
  const pages = new Map(corpus.patients.flatMap((patient) => [...patient.pages]));
  const types = [...new Set([...FLEXPA_TYPES, ...corpus.types])];
  await server.serve({ pages, types });
  const house = await openHouse({ place, url, types });
  open.defer(house.close);
  const databaseUrl = place.settings['DATABASE_URL'] ?? null;
  const script = await openScript({ databaseUrl, folder: join(place.dataDir, 'script') });
  open.defer(script.close);
  const scriptPart = firstPages(pages);
  const stage = { corpus, server, house, script, scriptPages: scriptPart.paths.map((path) => `${url}${path}`) };
  const rounds: Round[] = [];
  for (let round = 0; round < WARM_UP_ROUNDS + wanted; round += 1) rounds.push(await playRound(stage));
  const counted = rounds.slice(WARM_UP_ROUNDS);
  const database = postgres === null ? 'embedded PGlite, since no Postgres answers' : 'Postgres';
  return {
    corpus,
    database,
    rounds: counted,
    figures: figuresOf({ rounds: counted, corpus, scriptBytes: scriptPart.bytes }),
  };
}

function firstPages(pages: ReadonlyMap<string, Buffer>): { readonly paths: readonly string[]; readonly bytes: number } {
  const paths: string[] = [];
  let bytes = 0;
  for (const [path, page] of pages) {
    if (bytes >= SCRIPT_BYTES) break;
    paths.push(path);
    bytes += page.length;
  }
  return { paths, bytes };
}

function reportOf({
  corpus,
  database,
  rounds,
  figures,
  slicing,
  fleet,
}: Measured & { readonly slicing: readonly Figure[]; readonly fleet: Fleet }) {
  const { name, bytes, resources, pages } = corpus;
  const all = [...figures, ...slicing, ...fleet.figures].map((figure) => ({ ...figure, met: metBy(figure) }));
  return {
    node: process.version,
    cores: cpus().length,
    load: loadavg().map((load) => Math.round(load * 10) / 10),
    database,
    corpus: { name, bytes, resources, pages: pages.length },
    rounds: rounds.length,
    figures: all,
    cpuMsPerRun: fleet.cpuMsPerRun,
    /** Parts of records, manifests and change lists that pulls without a change wrote; the goal is none. */
    writtenUnchanged: [...new Set(rounds.flatMap(({ written }) => written))],
  };
}

type Fleet = { readonly figures: readonly Figure[]; readonly cpuMsPerRun: ProcessorTime | null };

/** Nothing where Redis or Postgres is missing. */
async function measureFleet(wanted: { readonly rounds: number; readonly jobs: number }): Promise<Fleet> {
  const figures: Figure[] = [];
  let cpuMsPerRun: ProcessorTime | null = null;
  for (const concurrency of CONCURRENCIES) {
    const jobs = Math.max(wanted.jobs, JOBS_PER_PLACE * concurrency);
    const fleet = await benchFleet({ ...wanted, jobs, concurrency, hasGoal: concurrency === BY_DEFAULT });
    if (fleet === null) return { figures: [], cpuMsPerRun: null };
    figures.push(...fleet.figures);
    cpuMsPerRun = fleet.cpuMsPerRun;
  }
  return { figures: [...figures, ...(await benchRedisBytes({ count: WEIGHED }))], cpuMsPerRun };
}

function metBy({ ratio, goal }: Figure): boolean | null {
  return goal === null ? null : ratio >= goal;
}

function linesOf(report: ReturnType<typeof reportOf>): readonly string[] {
  const { corpus, writtenUnchanged: written } = report;
  const megabytes = (corpus.bytes / 1e6).toFixed(1);
  return [
    `${corpus.name}: ${megabytes} MB, ${corpus.resources} resources, ${corpus.pages} pages; ${report.database}`,
    `Node ${report.node}, ${report.cores} cores, load ${report.load.join(' ')}, median of ${report.rounds} rounds`,
    ...report.figures.map(lineOf),
    report.cpuMsPerRun === null
      ? '        no fleet measured: Redis or Postgres is missing'
      : `        processor time of a refresh run: ${cpuText(report.cpuMsPerRun)}`,
    `${verdictOf(written.length === 0)}  written by pulls without a change: ${written.length} (goal: 0)`,
  ];
}

function cpuText({ node, postgres, redis }: ProcessorTime): string {
  return `Node ${node.toFixed(1)} ms, Postgres ${postgres.toFixed(1)} ms, Redis ${redis.toFixed(1)} ms`;
}

function lineOf({ name, ours, base, unit, ratio, goal, met }: Figure & { readonly met: boolean | null }): string {
  const promise = goal === null ? '' : ` (goal: ${goal}x)`;
  return `${verdictOf(met)}  ${name}: ${ours.toFixed(0)} against ${base.toFixed(0)} ${unit}, ${ratio.toFixed(2)}x${promise}`;
}

function verdictOf(met: boolean | null): string {
  if (met === null) return '      ';
  return met ? 'met   ' : 'MISSED';
}

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    data: { type: 'string' },
    rounds: { type: 'string', default: DEFAULT_ROUNDS },
    resources: { type: 'string', default: DEFAULT_RESOURCES },
    jobs: { type: 'string', default: DEFAULT_JOBS },
  },
});
const measured = await measure({
  folder: values.data,
  rounds: Number(values.rounds),
  resources: Number(values.resources),
});
const slicing = await benchSlicing();
const fleet = await measureFleet({ rounds: Number(values.rounds), jobs: Number(values.jobs) });
const report = reportOf({ ...measured, slicing, fleet });
process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : `${linesOf(report).join('\n')}\n`);
