import { afterAll, describe, expect, test } from 'vitest';
import { type Counts, castOf, isKept, type Member } from '../soak/fleet/cast.ts';
import { overlaps } from '../soak/fleet/judge.ts';
import { postgresPrograms } from '../soak/fleet/postgres-server.ts';
import { isWhole, textOf } from '../soak/fleet/report.ts';
import { begin, openFleet, runFleet, type Stage } from '../soak/fleet/run.ts';
import { type Fault, SERVER_FAULTS, scheduleOf, WORKER_FAULTS } from '../soak/fleet/schedule.ts';
import { differences, schedulersOf, storedRows } from '../soak/fleet/watch.ts';
import { canStartRedis } from '../support/own-redis.ts';
import { killLeftovers } from '../support/processes.ts';
import { until } from '../support/system-until.ts';

const SEED = 'faults/1';
const SOAK = process.env['PERENNIAL_SOAK'] === '1';
const CAP_MS = 400_000;
const WORKERS = 2;
const FOR_MS = SOAK ? 22_000 : 11_000;
const COUNTS: Counts = {
  kept: 12,
  kept_slow: 2,
  kept_lost_reply: 3,
  kept_asked: 2,
  once: 3,
  fallback: 1,
  revoked: 2,
  ended: 2,
};
const NONE: Counts = {
  kept: 0,
  kept_slow: 0,
  kept_lost_reply: 0,
  kept_asked: 0,
  once: 0,
  fallback: 0,
  revoked: 0,
  ended: 0,
};
/** A run every ten seconds or so. */
const PERIOD_MINUTES = { min: 9, max: 12 } as const;
/** A kill first, since what it leaves takes longest to come back; `npm run soak:fleet` draws them from a seed, and strikes with clocks too. */
const FAULTS: readonly Pick<Fault, 'kind' | 'atMs' | 'forMs' | 'worker'>[] = [
  { kind: 'kill', atMs: 0, forMs: 500, worker: 0 },
  { kind: 'freeze', atMs: 1_000, forMs: 9_000, worker: 1 },
  { kind: 'postgres_immediate', atMs: 5_000, forMs: 1_500, worker: 0 },
  ...(SOAK
    ? ([
        { kind: 'redis_old_copy', atMs: 14_000, forMs: 1_000, worker: 0 },
        { kind: 'silent_postgres', atMs: 17_000, forMs: 0, worker: 1 },
      ] as const)
    : []),
];

/** Late after 18 s at most, and 17 s for the repair, on a machine that is busy with other tests: what comes back comes by then. */
const BACK_WITHIN_MS = 35_000;
/** Schedulers alone stand again after 10 s at most in the soaks; where nobody repairs they are looked for that long. */
const STANDS_WITHIN_MS = 15_000;

const missing = [canStartRedis ? '' : 'redis-server', postgresPrograms() === null ? 'initdb' : ''].filter(
  (name) => name !== '',
);
const skipped =
  process.env['PERENNIAL_EMBEDDED_ONLY'] === '1'
    ? 'SKIPPED: PERENNIAL_EMBEDDED_ONLY=1'
    : missing.length === 0
      ? ''
      : `SKIPPED: NO ${missing.join(' AND NO ')} HERE`;

afterAll(killLeftovers);

test('a schedule of faults depends on its seed alone, and has every kind of them', () => {
  const wanted = { forMs: 600_000, workers: 3 };
  const schedule = scheduleOf({ ...wanted, seed: 'one' });
  expect(scheduleOf({ ...wanted, seed: 'one' })).toEqual(schedule);
  expect(scheduleOf({ ...wanted, seed: 'two' })).not.toEqual(schedule);
  expect(new Set(schedule.map(({ kind }) => kind))).toEqual(new Set([...WORKER_FAULTS, ...SERVER_FAULTS]));
});

describe.skipIf(skipped !== '').concurrent(`a fleet on servers of its own ${skipped}`, () => {
  test('keeps every promise while its workers and its servers are killed, frozen, emptied and cut off', {
    timeout: CAP_MS,
  }, async () => {
    const stage = await openFleet({ workers: WORKERS });
    try {
      const members = await castFor({ stage, counts: COUNTS });
      await begin({ stage, members });
      const back = await isBackAfterFlush({ stage, members, withinMs: BACK_WITHIN_MS });
      expect(back, 'back after Redis has lost all it knew').toBe(true);
      const schedule = FAULTS.map((fault) => ({ ...fault, stepMs: 0 }));
      const report = await runFleet({ stage, seed: SEED, forMs: FOR_MS, schedule, members });
      process.stdout.write(`\n${textOf(report)}\n`);
      expect(report.broken, textOf(report)).toEqual(
        Object.fromEntries(Object.keys(report.broken).map((what) => [what, []])),
      );
      expect(isWhole(report)).toBe(true);
    } finally {
      await stage.close();
    }
  });

  test('control: without leases its requests overlap; with nobody who repairs, runs that Redis has lost are late for ever', {
    timeout: CAP_MS,
  }, async () => {
    const stage = await openFleet({ workers: 1, broken: true });
    try {
      const members = await castFor({ stage, counts: { ...NONE, kept: 4, kept_slow: 6 } });
      await begin({ stage, members });
      await until(
        'requests overlap',
        async () => {
          for (const { id, handOverAtMs } of members) if (handOverAtMs === 0) await stage.web.api.pull(id);
          return overlaps({ seen: stage.world.seen, struck: [] }).broken.length;
        },
        (count) => count > 0,
        { everyMs: 500 },
      );
      expect(await isBackAfterFlush({ stage, members, withinMs: STANDS_WITHIN_MS })).toBe(false);
      const { missing: gone } = differences({
        rows: await storedRows(stage.postgres),
        scheduled: await schedulersOf(stage),
      });
      expect(gone.length, 'schedules that nobody has made again').toBeGreaterThan(0);
    } finally {
      await stage.close();
    }
  });
});

function castFor({
  stage: { world },
  counts,
}: {
  readonly stage: Stage;
  readonly counts: Counts;
}): Promise<readonly Member[]> {
  return castOf({ world, seed: SEED, counts, periodMinutes: PERIOD_MINUTES, forMs: FOR_MS });
}

/** Empties Redis, and says whether all schedules stood again and everybody was pulled in time. */
async function isBackAfterFlush({
  stage,
  members,
  withinMs,
}: {
  readonly stage: Stage;
  readonly members: readonly Member[];
  readonly withinMs: number;
}): Promise<boolean> {
  const { world, redis, postgres, prefix } = stage;
  const first = members.filter((member) => isKept(member) && member.handOverAtMs === 0);
  await redis.flush();
  const flushedAt = performance.now();
  const look = async (): Promise<boolean> => {
    const drift = differences({ rows: await storedRows(postgres), scheduled: await schedulersOf({ redis, prefix }) });
    const pulled = new Set(
      world.seen
        .filter(({ startedAt, path }) => startedAt > flushedAt && path.startsWith('/fhir'))
        .map(({ authorizationId }) => authorizationId),
    );
    return (
      drift.missing.length + drift.extra.length === 0 && first.every(({ link }) => pulled.has(link.authorizationId))
    );
  };
  const seen = async (): Promise<'back' | 'over' | 'not yet'> => {
    if (await look()) return 'back';
    return performance.now() - flushedAt > withinMs ? 'over' : 'not yet';
  };
  return (
    (await until('it is back, or its time is over', seen, (one) => one !== 'not yet', {
      capMs: 2 * withinMs,
      everyMs: 1_000,
    })) === 'back'
  );
}
