import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { killLeftovers } from '../support/processes.ts';
import { type Counts, castOf } from './fleet/cast.ts';
import { isWhole, textOf } from './fleet/report.ts';
import { begin, openFleet, runFleet, type Stage } from './fleet/run.ts';
import { scheduleOf } from './fleet/schedule.ts';

const MINUTES = numberOf('SOAK_MINUTES', 10);
const WORKERS = numberOf('SOAK_WORKERS', 3);
const SEED = process.env['SOAK_SEED'] ?? `fleet/${Date.now()}`;
const AUTHORIZATIONS = numberOf('SOAK_AUTHORIZATIONS', 240);
const share = (percent: number): number => Math.ceil((percent * AUTHORIZATIONS) / 100);
const COUNTS: Counts = {
  kept: share(50),
  kept_slow: share(4),
  kept_lost_reply: share(12),
  kept_asked: share(6),
  once: share(12),
  fallback: share(4),
  revoked: share(6),
  ended: share(6),
};
/** A folder for what every process printed. */
const LOGS = process.env['SOAK_LOGS'];
/** A run every 25 to 50 s. */
const PERIOD_MINUTES = { min: 25, max: 50 } as const;

const say = (line: string): void => void process.stdout.write(`${line}\n`);
process.exitCode = await soak();

/** Worker processes on Redis and PostgreSQL of their own under a seeded schedule of faults. Ends with 1 if a promise was broken. */
async function soak(): Promise<number> {
  const forMs = MINUTES * 60_000;
  const schedule = scheduleOf({ seed: SEED, forMs, workers: WORKERS });
  say(`${WORKERS} workers, ${schedule.length} faults in ${MINUTES} min; SOAK_SEED=${SEED}`);
  const stage = await openFleet({ workers: WORKERS });
  // Whoever stops it half-way finds nothing left behind either.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void stage.close().finally(() => process.exit(1)));
  }
  try {
    const cast = { world: stage.world, seed: SEED, counts: COUNTS, periodMinutes: PERIOD_MINUTES, forMs };
    const members = await castOf(cast);
    await begin({ stage, members });
    const startedAt = performance.now();
    const report = await runFleet({
      stage,
      seed: SEED,
      forMs,
      schedule,
      members,
      told: ({ kind, worker, atMs, healedAtMs }) =>
        say(
          `${((atMs - startedAt) / 1_000).toFixed(0).padStart(4)} s ${kind} (worker ${worker}) for ${((healedAtMs - atMs) / 1_000).toFixed(1)} s`,
        ),
    });
    say(`\n${textOf(report)}`);
    return isWhole(report) ? 0 : 1;
  } finally {
    if (LOGS !== undefined) await writeLogs(LOGS, stage);
    await stage.close();
    await killLeftovers();
  }
}

async function writeLogs(folder: string, { world, web, workers }: Stage): Promise<void> {
  await mkdir(folder, { recursive: true });
  const write = (name: string, text: string): Promise<void> => writeFile(join(folder, name), text);
  const requests = world.seen.map(
    (one) => `${JSON.stringify({ ...one, wall: new Date(performance.timeOrigin + one.startedAt) })}\n`,
  );
  await write('requests.ndjson', requests.join(''));
  await write('web.ndjson', web.stdout());
  for (const [place, { processes }] of workers.entries()) {
    for (const [nth, one] of processes.entries())
      await write(`worker-${place}-${nth}.ndjson`, `${one.stdout()}${one.stderr()}`);
  }
}

function numberOf(name: string, otherwise: number): number {
  const value = Number(process.env[name] ?? otherwise);
  if (!(value > 0)) throw new RangeError(`${name} must be a number above 0`);
  return value;
}
