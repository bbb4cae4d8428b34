import { UNITS } from '../../core/limits.ts';
import { drawOf, PURPOSES } from './random.ts';

const { HOUR_MS, DAY_MS, MINUTE_MS } = UNITS;

/** How the records of one endpoint's patients change: a nightly batch, edits in business hours, and now and then at any time. */
export type Habit = {
  /** Hours of the day, UTC, at which the batch is through; the same each night, give or take some minutes. */
  readonly batchHour: number;
  /** The share of patients that a night's batch changes. */
  readonly batchShare: number;
  /** The share that is edited on a weekday, between opening and closing. */
  readonly editShare: number;
  readonly noiseShare: number;
  readonly opensHour: number;
};

/** Nightly jobs run between 21 h and 5 h local time, in the time zones of the United States. */
const BATCH_FROM_HOUR = 3;
const BATCH_HOURS = 9;
const BATCH_JITTER_MS = 40 * MINUTE_MS;
const OPENS_FROM_HOUR = 12;
const OPEN_HOURS = 10;
/** Quiet endpoints change a patient's records every month, busy ones each day. */
const ACTIVITY_MIN = 0.03;
const ACTIVITY_MAX = 1;
/** Sundays and Saturdays, counted from the Monday of the start. */
const WEEKEND_FROM = 5;

/** A seeded endpoint: claims come by batch, charts by edits, most have some of both. */
export function habitOf({ seed, endpoint }: { readonly seed: number; readonly endpoint: number }): Habit {
  const draw = (occasion: number): number => drawOf(seed, endpoint, occasion, PURPOSES.habit);
  const activity = ACTIVITY_MIN * (ACTIVITY_MAX / ACTIVITY_MIN) ** draw(0);
  const byBatch = draw(1) < 0.5 ? 0.85 : draw(1) < 0.8 ? 0.5 : 0.1;
  const noise = 0.05;
  return {
    batchHour: (BATCH_FROM_HOUR + draw(2) * BATCH_HOURS) % 24,
    batchShare: activity * byBatch,
    editShare: activity * (1 - byBatch - noise / 2),
    noiseShare: activity * noise,
    opensHour: OPENS_FROM_HOUR + Math.floor(draw(3) * 4),
  };
}

/** The first change of one patient's records after an instant, if it comes before another; milliseconds since the start, infinite where none does. */
export function firstChange({
  habit: { batchHour, batchShare, editShare, noiseShare, opensHour },
  seed,
  member,
  after,
  before,
}: {
  readonly habit: Habit;
  readonly seed: number;
  readonly member: number;
  readonly after: number;
  readonly before: number;
}): number {
  for (let day = Math.floor(after / DAY_MS); day * DAY_MS < before; day += 1) {
    let first = Number.POSITIVE_INFINITY;
    const offer = (at: number): void => {
      if (at > after && at < first) first = at;
    };
    const start = day * DAY_MS;
    if (drawOf(seed, member, day, PURPOSES.batch) < batchShare) {
      // The batch ends for all of its patients within some minutes; which, differs from night to night.
      const late = drawOf(seed, member, day, PURPOSES.batchAt) * BATCH_JITTER_MS;
      offer(start + batchHour * HOUR_MS + late);
    }
    const isWeekend = ((day % 7) + 7) % 7 >= WEEKEND_FROM;
    if (!isWeekend && drawOf(seed, member, day, PURPOSES.edit) < editShare) {
      offer(start + (opensHour + drawOf(seed, member, day, PURPOSES.editAt) * OPEN_HOURS) * HOUR_MS);
    }
    const noise = drawOf(seed, member, day, PURPOSES.noise);
    if (noise < noiseShare) offer(start + (noise / noiseShare) * DAY_MS);
    if (first < before) return first;
  }
  return Number.POSITIVE_INFINITY;
}
