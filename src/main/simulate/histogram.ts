/** Counts of seconds in bins whose width is 1/64 of their value at most: percentiles are right to 1.6 %, whatever the range. */
export type Histogram = { readonly counts: Float64Array; max: number };

const STEPS = 64;
const POWERS = 26;

/** An empty one. */
export function createHistogram(): Histogram {
  return { counts: new Float64Array(STEPS * (POWERS + 1)), max: 0 };
}

/** Counts one value; negative ones count as 0. */
export function count(histogram: Histogram, seconds: number): void {
  const value = seconds > 0 ? seconds : 0;
  if (value > histogram.max) histogram.max = value;
  const bin = binOf(value);
  histogram.counts[bin] = (histogram.counts[bin] ?? 0) + 1;
}

/** Adds what another one has counted. */
export function addHistogram(into: Histogram, from: Histogram): void {
  for (let bin = 0; bin < into.counts.length; bin += 1)
    into.counts[bin] = (into.counts[bin] ?? 0) + (from.counts[bin] ?? 0);
  into.max = Math.max(into.max, from.max);
}

export type Percentiles = { readonly p50: number; readonly p90: number; readonly p99: number; readonly max: number };

/** The values below which these shares of all counts lie, in seconds; zeros where nothing was counted. */
export function percentilesOf({ counts, max }: Histogram): Percentiles {
  const total = counts.reduce((sum, one) => sum + one, 0);
  const at = (share: number): number => {
    let seen = 0;
    for (let bin = 0; bin < counts.length; bin += 1) {
      seen += counts[bin] ?? 0;
      if (seen > 0 && seen >= share * total) return Math.min(max, topOf(bin));
    }
    return 0;
  };
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max };
}

function binOf(value: number): number {
  if (value < STEPS) return Math.floor(value);
  const power = Math.floor(Math.log2(value / STEPS));
  const step = Math.floor(value / 2 ** power) - STEPS;
  return Math.min(STEPS * (POWERS + 1) - 1, STEPS * (power + 1) + step);
}

function topOf(bin: number): number {
  if (bin < STEPS) return bin;
  const power = Math.floor(bin / STEPS) - 1;
  return (STEPS + (bin % STEPS) + 1) * 2 ** power;
}
