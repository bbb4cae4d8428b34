import { everyPurgeKill, killAllPurges, purgeReportOf } from '../fault/purge-kill/report.ts';
import type { PurgeVerdict } from '../fault/purge-kill/run.ts';
import { openPurgeStage } from '../fault/purge-kill/stage.ts';
import { findServices, missingOf } from '../support/system-places.ts';

/** Ten steps of a purge, fifty seeds each. */
const SEEDS = numberOf('SOAK_SEEDS', 50);
const LANES = numberOf('SOAK_LANES', 25);
const TELL_EVERY = 50;

const say = (line: string): void => void process.stdout.write(`${line}\n`);
process.exitCode = await soak();

/** The whole kill matrix of the purge, with its figures. Ends with 1 if a promise was broken. */
async function soak(): Promise<number> {
  const services = await findServices();
  if (services.postgres === null || services.redisUrl === null) {
    say(missingOf(services));
    return 1;
  }
  const kills = everyPurgeKill(SEEDS);
  say(`${kills.length} kills, ${LANES} at a time`);
  const stage = await openPurgeStage(services);
  const seen: PurgeVerdict[] = [];
  // Whoever stops it half-way is told what was seen, and finds nothing left behind either.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      say(`\nstopped\n${purgeReportOf(seen)}`);
      void stage.close().finally(() => process.exit(1));
    });
  }
  try {
    const startedAt = performance.now();
    const seconds = (): string => ((performance.now() - startedAt) / 1_000).toFixed(0);
    const told = (verdict: PurgeVerdict): void => {
      seen.push(verdict);
      if (seen.length % TELL_EVERY === 0) say(`${seen.length} of ${kills.length} after ${seconds()} s`);
    };
    const verdicts = await killAllPurges({ stage, kills, lanes: LANES, told });
    say(`\n${purgeReportOf(verdicts)}in ${seconds()} s`);
    const broken = verdicts.filter(({ faults }) => faults.length > 0);
    for (const { id, moment, detail, faults } of broken)
      say(`BROKEN: ${id} at ${moment} ${detail}: ${faults.join(', ')}`);
    return broken.length === 0 ? 0 : 1;
  } finally {
    await stage.close();
  }
}

function numberOf(name: string, otherwise: number): number {
  const value = Number(process.env[name] ?? otherwise);
  if (!Number.isInteger(value) || value < 1) throw new RangeError(`${name} must be a whole number above 0`);
  return value;
}
