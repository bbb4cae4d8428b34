import { UNITS } from '../../core/limits.ts';
import { duration, table } from '../print.ts';
import type { Percentiles } from './histogram.ts';
import type { Peak } from './peaks.ts';
import type { NetworkSummary, Summary } from './summary.ts';

const DAY_MINUTES = UNITS.DAY_MS / UNITS.MINUTE_MS;

/** A simulation's figures for people. */
export function reportOf(summary: Summary): string {
  const { authorizations, days, seed, endpoints, networks, peaks, requestsPerEndpointDay: requests } = summary;
  const lines = [
    `${whole(authorizations)} authorizations at ${whole(endpoints)} endpoints, ${days} days, seed ${seed}`,
    '',
    table([HEADING, ...networks.map(rowOf)]).trimEnd(),
    '',
    table([
      ['runs', `${whole(summary.runs)}, of which ${whole(summary.refreshes)} refreshed tokens`],
      ['peak minute to mean', `${peakWord(peaks.quietDay)} on the worst quiet day`],
      ['', `${peakWord(peaks.afterImport)} in the 24 h after the bulk import`],
      ['', `${peakWord(peaks.afterPeriodChange)} in the 24 h after the change of a period`],
      [
        'requests of an endpoint',
        `a day: p50 ${whole(requests.p50)}, p99 ${whole(requests.p99)}, at most ${whole(requests.max)}`,
      ],
      [
        'repaired',
        `${whole(summary.repaired)} lost jobs and schedules; ${whole(summary.sentBack)} early wakes were sent back`,
      ],
      ['catch-up', catchUpWord(summary.catchUpMinutes)],
      ['tokens', `${whole(sumOf(networks, ({ tokensDied }) => tokensDied))} died`],
    ]).trimEnd(),
    '',
    verdictOf(summary),
  ];
  return `${lines.join('\n')}\n`;
}

const HEADING = [
  'NETWORK',
  'RUNS',
  'PULLS',
  'AGE AT PULL p50',
  'p90',
  'p99',
  'MAX',
  'RUNS BEGIN LATE p50',
  'p99',
  'MAX',
  'LATE: SOURCE',
  'DOWNTIME',
  'OURS',
];

function rowOf({
  network,
  runs,
  pulls,
  freshnessSeconds: age,
  latenessSeconds: begin,
  late,
}: NetworkSummary): readonly string[] {
  const of = (values: Percentiles, names: readonly (keyof Percentiles)[]) =>
    names.map((name) => duration(values[name]));
  return [
    network,
    whole(runs),
    whole(pulls),
    ...of(age, ['p50', 'p90', 'p99', 'max']),
    ...of(begin, ['p50', 'p99', 'max']),
    whole(late.upstream),
    whole(late.downtime),
    whole(late.unexplained),
  ];
}

function verdictOf({ broken }: Summary): string {
  if (broken === 0)
    return 'Every promise kept: what was late had a source that failed or no worker, and no token died.';
  return `BROKEN: ${whole(broken)} times records were late, or tokens died, that no fault of a source explains.`;
}

function peakWord(peak: Peak): string {
  if (peak === null) return '-';
  const { ratio, minute } = peak;
  const day = Math.floor(minute / DAY_MINUTES);
  const time = `${two(Math.floor((minute % DAY_MINUTES) / 60))}:${two(minute % 60)}`;
  return `${ratio.toFixed(2)} (${whole(peak.peak)} to ${peak.mean.toFixed(1)}, day ${day} ${time})`;
}

function catchUpWord(minutes: readonly number[]): string {
  if (minutes.length === 0) return 'no downtime';
  return `the last overdue run began ${minutes.map((one) => duration(one * 60)).join(' and ')} after the downtimes`;
}

/** Two simulations side by side: what the same requests buy with a fixed and with an adaptive cadence. */
export function comparisonOf({ fixed, adaptive }: { readonly fixed: Summary; readonly adaptive: Summary }): string {
  const rows = fixed.networks.map((before, at) => {
    const after = adaptive.networks[at] ?? before;
    const less = before.meanAgeSeconds === 0 ? 0 : 1 - after.meanAgeSeconds / before.meanAgeSeconds;
    return [
      before.network,
      whole(before.pulls),
      whole(after.pulls),
      `${(before.meanAgeSeconds / 60).toFixed(1)} min`,
      `${(after.meanAgeSeconds / 60).toFixed(1)} min`,
      `${less >= 0 ? '-' : '+'}${Math.abs(less * 100).toFixed(1)} %`,
      duration(before.freshnessSeconds.max),
      duration(after.freshnessSeconds.max),
    ];
  });
  const heading = [
    'NETWORK',
    'PULLS FIXED',
    'ADAPTIVE',
    'MEAN AGE FIXED',
    'ADAPTIVE',
    'CHANGE',
    'OLDEST FIXED',
    'ADAPTIVE',
  ];
  const said = 'The age of records is 0 until the first change at the source that was not pulled, and counts from it.';
  return `${table([heading, ...rows])}${said}\n`;
}

function sumOf(networks: readonly NetworkSummary[], of: (one: NetworkSummary) => number): number {
  return networks.reduce((sum, one) => sum + of(one), 0);
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
