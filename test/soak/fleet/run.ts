import { randomBytes } from 'node:crypto';
import { temporaryFolder } from '../../support/databases.ts';
import { newKey, type Served, serve, settingsOf } from '../../support/processes.ts';
import { until } from '../../support/system-until.ts';
import { startWorld, type World } from '../../support/world.ts';
import { FLEET_SPEED, isKept, type Member, SOURCE_KNOBS } from './cast.ts';
import { disturb, handOver } from './disturb.ts';
import { type Evidence, lateness, lostOf, overlaps, runsTwice } from './judge.ts';
import { type PostgresServer, startPostgresServer } from './postgres-server.ts';
import { type RedisServer, startRedisServer } from './redis-server.ts';
import type { FleetReport } from './report.ts';
import type { Fault } from './schedule.ts';
import { type Struck, strikeAll } from './strike.ts';
import { differences, schedulersOf, storedRows, watchFleet } from './watch.ts';
import { openWorker, type Worker } from './workers.ts';

/** After the last fault: the longest repair, and a run of everybody. */
const SETTLED_WITHIN_MS = 200_000;
/** A slow machine has so many times as long for a schedule. */
const SLOW_FACTOR = 2;
const LOOK_EVERY_MS = 1_000;
const FIRST_PULLS_CAP_MS = 120_000;

/** A fleet on servers of its own: a source, Redis, PostgreSQL, a web process and workers. */
export type Stage = {
  readonly world: World;
  readonly redis: RedisServer;
  readonly postgres: PostgresServer;
  readonly prefix: string;
  readonly web: Served;
  readonly workers: readonly Worker[];
  readonly close: () => Promise<void>;
};

/** Opens it all; what was opened before a failure is closed again. */
export async function openFleet({
  workers: count,
  broken = false,
}: {
  readonly workers: number;
  /** Its workers are broken on purpose. */
  readonly broken?: boolean;
}): Promise<Stage> {
  const closers: (() => Promise<unknown>)[] = [];
  const opened = <T extends { readonly close: () => Promise<unknown> }>(one: T): T => {
    closers.push(one.close);
    return one;
  };
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const folder = await temporaryFolder();
    closers.push(folder.remove);
    const world = opened(await startWorld({ speed: FLEET_SPEED, knobs: SOURCE_KNOBS }));
    const redis = opened(await startRedisServer());
    const postgres = opened(await startPostgresServer(['fleet', 'keys']));
    const prefix = `fleet-${randomBytes(4).toString('hex')}`;
    const where = {
      DATA_DIR: folder.path,
      REDIS_URL: redis.url,
      QUEUE_PREFIX: prefix,
      DATABASE_URL: postgres.url('fleet'),
      KEY_DATABASE_URL: postgres.url('keys'),
    };
    const env = settingsOf({ place: { settings: where }, world, encryptionKeys: newKey() });
    const web = await serve({ command: 'web', env });
    closers.push(async () => {
      web.signal('SIGKILL');
      await web.exit;
    });
    const workers: Worker[] = [];
    for (let index = 0; index < count; index += 1)
      workers.push(opened(await openWorker({ env: { ...where, ...env }, world, broken })));
    await Promise.all(workers.map((worker) => worker.start()));
    return { world, redis, postgres, prefix, web, workers, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Lets a schedule of faults loose on a fleet that works, heals it, waits until it has settled, and judges it. */
export async function runFleet({
  stage,
  seed,
  forMs,
  schedule,
  members,
  told,
}: {
  readonly stage: Stage;
  readonly seed: string;
  readonly forMs: number;
  readonly schedule: readonly Fault[];
  /** Those who come first are there already. */
  readonly members: readonly Member[];
  readonly told?: (struck: Struck) => void;
}): Promise<FleetReport> {
  const { world, redis, postgres, prefix, web, workers } = stage;
  await redis.keepCopy();
  const watching = new AbortController();
  const { watched, done } = watchFleet({ world, postgres, redis, prefix, signal: watching.signal });
  const [struck] = await Promise.all([
    strikeAll({
      schedule,
      forMs: SLOW_FACTOR * forMs,
      targets: { workers, postgres, redis },
      ...(told === undefined ? {} : { told }),
    }),
    disturb({ world, web, members }),
  ]);
  const unsettled = await settle({ stage, members });
  watching.abort();
  await done;
  const stored = await storedRows(postgres);
  const { missing, extra } = differences({ rows: stored, scheduled: await schedulersOf({ redis, prefix }) });
  const evidence: Evidence = {
    members,
    seen: world.seen,
    books: await world.rows(),
    stored,
    watched,
    struck,
    processes: workers.flatMap(({ processes }) => processes),
    endMs: performance.now(),
    endWallMs: Date.now(),
  };
  const { late, repairs } = lateness(evidence);
  const { broken, woken } = overlaps(evidence);
  const died = workers.reduce((sum, worker) => sum + worker.died(), web.running() ? 0 : 1);
  return {
    seed,
    authorizations: members.length,
    minutes: forMs / 60_000,
    pulls: world.seen.filter(({ path, status }) => path.startsWith('/fhir') && status === 200).length,
    refreshes: [...evidence.books.values()].reduce((sum, { refreshes }) => sum + refreshes, 0),
    struck,
    repairs,
    scheduleGapsMs: watched.gaps.map((gap) => gap.forMs),
    purgesLateMs: [...watched.purges.values()].map(({ lateMs }) => lateMs).filter((lateMs) => lateMs > 0),
    woken,
    broken: {
      lost: lostOf(evidence),
      overlapped: broken.map(
        ([one, other]) => `${memberOf(members, one.authorizationId)}: ${one.path} beside ${other.path}`,
      ),
      late,
      schedulers: [...missing.map((id) => `${id} is missing`), ...extra.map((id) => `${id} is too much`)],
      twice: runsTwice(evidence),
      died: died === 0 ? [] : [`${died} processes ended by themselves`],
      unsettled,
    },
  };
}

/** Hands over those who come before the faults, and waits until each has been pulled. */
export async function begin({
  stage: { web },
  members,
}: {
  readonly stage: Stage;
  readonly members: readonly Member[];
}): Promise<void> {
  const first = members.filter(({ handOverAtMs }) => handOverAtMs === 0);
  await Promise.all(first.map((member) => handOver({ web, member })));
  await until(
    'everybody is pulled',
    () => web.api.list({ limit: 500 }),
    ({ authorizations }) => authorizations.every(({ lastPull, state }) => lastPull !== null || state === 'purged'),
    { capMs: FIRST_PULLS_CAP_MS, everyMs: LOOK_EVERY_MS },
  );
}

/** Waits until all are where they should end, everybody who stands has been pulled since, nothing is overdue, and all schedules stand. Says what is not. */
async function settle({
  stage,
  members,
}: {
  readonly stage: Stage;
  readonly members: readonly Member[];
}): Promise<readonly string[]> {
  const { world, redis, postgres, prefix } = stage;
  const healedAt = performance.now();
  const open = async (): Promise<readonly string[]> => {
    const rows = await storedRows(postgres);
    const { missing, extra } = differences({ rows, scheduled: await schedulersOf({ redis, prefix }) });
    const pulledSince = new Set(
      world.seen
        .filter(({ path, status, startedAt }) => path.startsWith('/fhir') && status === 200 && startedAt > healedAt)
        .map(({ authorizationId }) => authorizationId),
    );
    const states = new Map(rows.map(({ id, state }) => [id, state]));
    const waiting = members.flatMap((member) => {
      const { id, kind, link } = member;
      if (isKept(member)) return pulledSince.has(link.authorizationId) ? [] : [`${id} is not pulled again`];
      const wanted = kind === 'revoked' ? 'needs_reauthorization' : 'purged';
      return states.get(id) === wanted ? [] : [`${id} is ${states.get(id)}`];
    });
    return [...waiting, ...missing.map((id) => `${id} does not repeat`), ...extra.map((id) => `${id} repeats still`)];
  };
  let last: readonly string[] = [];
  const look = async (): Promise<readonly string[]> => {
    last = await open().catch((error: unknown) => [String(error)]);
    return last;
  };
  return until('the fleet has settled', look, (left) => left.length === 0, {
    capMs: SETTLED_WITHIN_MS,
    everyMs: LOOK_EVERY_MS,
  }).catch(() => last);
}

function memberOf(members: readonly Member[], authorizationId: string | null): string {
  return members.find(({ link }) => link.authorizationId === authorizationId)?.id ?? 'somebody';
}
