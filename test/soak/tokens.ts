import { brokenPromises, everyKill, killAll, unannounced } from '../fault/kill/matrix.ts';
import { POLICIES } from '../fault/kill/points.ts';
import { recoveries, reportOf, spread } from '../fault/kill/report.ts';
import { handOver, refreshOnceMore } from '../fault/kill/run.ts';
import { openStage, type Stage } from '../fault/kill/stage.ts';
import { findServices, missingOf } from '../support/system-places.ts';

/** Ten points, four upstreams: a hundred seeds are 3,000 kills at upstreams that forgive and 1,000 at one that does not. */
const SEEDS = numberOf('SOAK_SEEDS', 100);
const LANES = numberOf('SOAK_LANES', 40);
const REPAIR_WITHIN_MS = 60_000;
/** The smallest grace windows in the field leave this much. */
const RECOVERED_WITHIN_MS = 10_000;
const TELL_EVERY = 100;
/** Refreshes measured without any kill. */
const ALONE = 500;

const say = (line: string): void => void process.stdout.write(`${line}\n`);
process.exitCode = await soak();

/** The whole kill matrix, with its figures. Ends with 1 if a promise was broken. */
async function soak(): Promise<number> {
  const services = await findServices();
  if (services.postgres === null) {
    say(missingOf(services));
    return 1;
  }
  const kills = everyKill({ seeds: SEEDS, repairWithinMs: REPAIR_WITHIN_MS });
  say(`${kills.length} kills, ${LANES} at a time`);
  const stage = await openStage(services);
  // Whoever stops it half-way finds nothing left behind either.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void stage.close().finally(() => process.exit(1)));
  }
  try {
    const startedAt = performance.now();
    const seconds = (): string => ((performance.now() - startedAt) / 1_000).toFixed(0);
    let done = 0;
    const told = (): void => {
      done += 1;
      if (done % TELL_EVERY === 0) say(`${done} of ${kills.length} after ${seconds()} s`);
    };
    const verdicts = await killAll({ stage, kills, lanes: LANES, told });
    say(`\n${reportOf(verdicts)}in ${seconds()} s`);
    say(`the same, warm and alone: ${spread(await windowsAlone(stage), 'ms', 2)}`);
    const broken = brokenPromises(verdicts);
    const untold = await unannounced({ store: stage.context.store, verdicts });
    for (const { id, moment, detail, seen } of [...broken, ...untold])
      say(`BROKEN: ${id} at ${moment} ${detail}: ${seen}`);
    const slow = recoveries(verdicts).filter((ms) => ms >= RECOVERED_WITHIN_MS);
    if (slow.length > 0) say(`BROKEN: ${slow.length} recoveries took ${RECOVERED_WITHIN_MS} ms or more`);
    return broken.length + untold.length + slow.length === 0 ? 0 : 1;
  } finally {
    await stage.close();
  }
}

/** The unavoidable window of a worker that has nothing else to do: refreshes one after the other. */
async function windowsAlone(stage: Stage): Promise<readonly number[]> {
  const subject = await handOver({ stage, id: 'alone', knobs: POLICIES.B.knobs });
  const widths: number[] = [];
  for (let refresh = 0; refresh < ALONE; refresh += 1) {
    const { windowMs } = await refreshOnceMore({ stage, subject });
    if (windowMs !== null) widths.push(windowMs);
  }
  return widths;
}

function numberOf(name: string, otherwise: number): number {
  const value = Number(process.env[name] ?? otherwise);
  if (!Number.isInteger(value) || value < 1) throw new RangeError(`${name} must be a whole number above 0`);
  return value;
}
