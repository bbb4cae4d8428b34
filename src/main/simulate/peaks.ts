import { UNITS } from '../../core/limits.ts';
import { type FaultPlan, importOf } from './faults.ts';
import type { Figures } from './figures.ts';
import type { Settings } from './settings.ts';

const DAY_MINUTES = UNITS.DAY_MS / UNITS.MINUTE_MS;

/** The fullest minute against the mean, and when that is; null where there was no such day. */
export type Peak = {
  readonly ratio: number;
  readonly minute: number;
  readonly peak: number;
  readonly mean: number;
} | null;

/**
 * How flat the load is: repeating runs, without first runs after an acceptance, which a person waits for, and without those that make up for a source
 * that failed or for downtime.
 */
export type Peaks = {
  /** The worst of the days on which nothing befell the whole fleet. */
  readonly quietDay: Peak;
  /** 24 hours from the end of the import. */
  readonly afterImport: Peak;
  /** 24 hours from the change of a period, against the mean of the busier of both cadences. */
  readonly afterPeriodChange: Peak;
};

/** Peaks to means of the days that were asked about. */
export function peaksOf({
  settings,
  faults,
  figures: { runs },
}: {
  readonly settings: Settings;
  readonly faults: FaultPlan;
  readonly figures: Pick<Figures, 'runs'>;
}): Peaks {
  const { days } = settings;
  const loud = loudDays(faults);
  const quiet = Array.from({ length: days }, (_, day) => day).filter((day) => !loud.has(day) && !loud.has(day - 1));
  const ofDays = quiet.map((day) => peakOf(runs, day * DAY_MINUTES)).filter((peak) => peak !== null);
  const bulk = importOf({ settings, faults });
  const changedAt = faults.periodChange === null ? null : minuteOf(faults.periodChange.at);
  return {
    quietDay: ofDays.reduce<Peak>((worst, one) => (worst === null || one.ratio > worst.ratio ? one : worst), null),
    afterImport: bulk === null ? null : peakOf(runs, minuteOf(bulk.endsAt) + 1),
    afterPeriodChange: changedAt === null ? null : againstBusier(runs, changedAt),
  };
}

function againstBusier(runs: Uint32Array, changedAt: number): Peak {
  const after = peakOf(runs, changedAt);
  if (after === null) return null;
  const mean = Math.max(after.mean, meanOf(runs, changedAt - DAY_MINUTES));
  return { ...after, mean, ratio: after.peak / mean };
}

function loudDays({ downtimes, redisLostAt, importAt, periodChange, clockSteps }: FaultPlan): ReadonlySet<number> {
  const dayOf = (ms: number): number => Math.floor(ms / UNITS.DAY_MS);
  const days = new Set<number>(
    [redisLostAt, importAt, periodChange?.at].flatMap((at) => (at == null ? [] : [dayOf(at)])),
  );
  for (const { from, to } of [...downtimes, ...clockSteps]) {
    for (let day = dayOf(from); day <= dayOf(to); day += 1) days.add(day);
  }
  return days;
}

function peakOf(runs: Uint32Array, from: number): Peak {
  if (from + DAY_MINUTES > runs.length) return null;
  let minute = from;
  for (let at = from; at < from + DAY_MINUTES; at += 1) if ((runs[at] ?? 0) > (runs[minute] ?? 0)) minute = at;
  const mean = meanOf(runs, from);
  const peak = runs[minute] ?? 0;
  return mean === 0 ? null : { ratio: peak / mean, minute, peak, mean };
}

function meanOf(runs: Uint32Array, from: number): number {
  return runs.subarray(Math.max(0, from), from + DAY_MINUTES).reduce((sum, one) => sum + one, 0) / DAY_MINUTES;
}

function minuteOf(ms: number): number {
  return Math.ceil(ms / UNITS.MINUTE_MS);
}
