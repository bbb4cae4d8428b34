import { blowOf } from './blow.ts';
import { ALL_POINTS, ALL_POLICIES, POINTS, POLICIES } from './points.ts';
import type { Verdict } from './run.ts';

const POINT_CHARS = 36;
const CELL_CHARS = 24;

/** Upper bound of a rate of which nothing was seen in n independent runs, at 95 %: three in n. */
const boundOf = (n: number): string => (n === 0 ? 'unknown' : `<= ${(300 / n).toFixed(2)} %`);

/** The matrix as a table, and the figures of its runs. */
export function reportOf(verdicts: readonly Verdict[]): string {
  return `${[...table(verdicts), '', ...figures(verdicts)].join('\n')}\n`;
}

function table(verdicts: readonly Verdict[]): readonly string[] {
  const heads = ALL_POLICIES.map((policy) => `${policy} ${POLICIES[policy].name}`.padEnd(CELL_CHARS));
  const rows = ALL_POINTS.map((point) => {
    const cells = ALL_POLICIES.map((policy) => {
      const runs = verdicts.filter((verdict) => verdict.point === point && verdict.policy === policy);
      const ambiguous = runs.filter(({ outcome }) => outcome === 'ambiguous').length;
      const silent = runs.filter(({ outcome }) => outcome === 'silent').length;
      return `${runs.length} / ${ambiguous + silent} / ${ambiguous} / ${silent}`.padEnd(CELL_CHARS);
    });
    return [`${point} ${POINTS[point].name}`.padEnd(POINT_CHARS), ...cells].join('');
  });
  return [
    'runs / lost / of them announced as ambiguous / silent',
    ['point'.padEnd(POINT_CHARS), ...heads].join(''),
    ...rows,
  ];
}

function figures(verdicts: readonly Verdict[]): readonly string[] {
  const kind = verdicts.filter(({ policy }) => policy !== 'D');
  const lost = kind.filter(({ outcome }) => outcome !== 'alive').length;
  const strict = verdicts.filter(({ policy }) => policy === 'D');
  const losses = strict.filter(({ outcome }) => outcome !== 'alive');
  const silent = verdicts.filter(({ outcome }) => outcome === 'silent').length;
  const schedules = new Set(
    verdicts.map((verdict) => JSON.stringify([verdict.policy, verdict.moment, blowOf(verdict)])),
  ).size;
  const present = (values: readonly (number | null)[]): readonly number[] => values.filter((value) => value !== null);
  return [
    `policies A-C: ${lost} lost in N = ${kind.length} kills; the rate is ${boundOf(kind.length)} at 95 % if none is`,
    `policy D: ${losses.length} lost in N = ${strict.length} kills, all kills: ${silent} silent in N = ${verdicts.length} (${boundOf(verdicts.length)})`,
    `distinct schedules, the machine's own timing left out: ${schedules}`,
    `kill to recovery: ${spread(recoveries(verdicts), 'ms', 0)}`,
    `kill to announced loss: ${spread(recoveries(losses), 'ms', 0)}`,
    `reply parsed to commit durable, fresh process: ${spread(present(verdicts.map(({ windowMs }) => windowMs.killed)), 'ms', 2)}`,
    `reply parsed to commit durable, warm process: ${spread(present(verdicts.map(({ windowMs }) => windowMs.warm)), 'ms', 2)}`,
  ];
}

/** How long each attempt that a kill left open stayed open, in ms. */
export function recoveries(verdicts: readonly Verdict[]): readonly number[] {
  return verdicts.map(({ recoveredMs }) => recoveredMs).filter((ms) => ms !== null);
}

/** Median, 99th percentile and maximum. */
export function spread(values: readonly number[], unit: string, digits: number): string {
  const sorted = [...values].sort((left, right) => left - right);
  const at = (share: number): string => {
    const value = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
    return value === undefined ? '-' : value.toFixed(digits);
  };
  return `p50 ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)} ${unit} (n = ${sorted.length})`;
}
