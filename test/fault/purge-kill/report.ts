import { spread } from '../kill/report.ts';
import { ALL_STEPS, STEPS } from './points.ts';
import type { PurgeKill, PurgeVerdict } from './run.ts';
import { killPurge } from './run.ts';
import type { PurgeStage } from './stage.ts';

const STEP_CHARS = 40;

/** Every step once per seed; the seeds of one step apart, so that a machine that stalls shows everywhere. */
export function everyPurgeKill(seeds: number): readonly PurgeKill[] {
  return Array.from({ length: seeds }, (_, seed) => ALL_STEPS.map((step) => ({ step, seed }))).flat();
}

/** Kills `lanes` workers at a time; nearly all of a run is waiting for the dead one's lease. */
export async function killAllPurges({
  stage,
  kills,
  lanes,
  told = () => undefined,
}: {
  readonly stage: PurgeStage;
  readonly kills: readonly PurgeKill[];
  readonly lanes: number;
  readonly told?: (verdict: PurgeVerdict) => void;
}): Promise<readonly PurgeVerdict[]> {
  const left = [...kills];
  const verdicts: PurgeVerdict[] = [];
  const lane = async (): Promise<void> => {
    for (let kill = left.shift(); kill !== undefined; kill = left.shift()) {
      const verdict = await killPurge({ stage, kill });
      verdicts.push(verdict);
      told(verdict);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return verdicts;
}

/** The matrix as a table, and how long the survivor took. */
export function purgeReportOf(verdicts: readonly PurgeVerdict[]): string {
  const rows = ALL_STEPS.map((step) => {
    const runs = verdicts.filter((verdict) => verdict.step === step);
    const broken = runs.filter(({ faults }) => faults.length > 0).length;
    return `${`${step} ${STEPS[step].name}`.padEnd(STEP_CHARS)}${runs.length} / ${broken}`;
  });
  const took = verdicts.flatMap(({ purgedAfterMs }) => (purgedAfterMs === null ? [] : [purgedAfterMs]));
  const schedules = new Set(verdicts.map(({ moment, detail }) => `${moment}/${detail}`)).size;
  return [
    `${'step'.padEnd(STEP_CHARS)}kills / a promise broken`,
    ...rows,
    `distinct moments and delays: ${schedules}`,
    `kill to receipt: ${spread(took, 'ms', 0)}`,
    '',
  ].join('\n');
}
