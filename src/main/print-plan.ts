import type { PlannedLoadView } from '../contract/plan-load.ts';
import { chart } from './chart.ts';
import { duration, table } from './print.ts';

const CHART_ROWS = 6;
/** Endpoints that are printed; --json has more. */
const ENDPOINTS_SHOWN = 20;

type Change = PlannedLoadView['networks'][number];

/** A preview of the load for `plan`: a table per network and endpoint, and a chart of before and after on one scale. */
export function planOf({ plan, columns }: { readonly plan: PlannedLoadView; readonly columns: number }): string {
  const { networks, endpoints, moreEndpoints, quarterHours, hours } = plan;
  if (networks.length === 0) return 'no standing authorization: any cadence is as good\n';
  const shown = endpoints.slice(0, ENDPOINTS_SHOWN);
  const hidden = endpoints.length - shown.length + moreEndpoints;
  const top = Math.max(...quarterHours.before, ...quarterHours.after);
  const draw = (values: readonly number[]): string => chart({ values, top, columns, rows: CHART_ROWS });
  return [
    `${sum(networks, ({ authorizations }) => authorizations)} standing authorizations, ${movedWord(networks)}\n\n`,
    table([HEADING, ...networks.map(rowOf), ...shown.map(rowOf)]),
    hidden > 0 ? `and ${hidden} smaller endpoints\n` : '',
    `\nruns by quarter of an hour, the next ${hours} h, now:\n${draw(quarterHours.before)}`,
    `\nand with the new table:\n${draw(quarterHours.after)}\n`,
    lateWord(networks),
  ].join('');
}

const HEADING = [
  'NETWORK',
  'ENDPOINT',
  'AUTHORIZATIONS',
  'RUNS A DAY',
  'THEN',
  'PEAK MINUTE / MEAN',
  'THEN',
  'OLDEST RECORDS',
];

function rowOf({
  network,
  endpointId,
  authorizations,
  before,
  after,
  oldestAgeSeconds,
  late,
}: Change): readonly string[] {
  const flat = ({ peakMinute, meanMinute }: Change['before']) => `${peakMinute} / ${meanMinute.toFixed(1)}`;
  const oldest = oldestAgeSeconds === null ? '-' : duration(oldestAgeSeconds);
  return [
    network,
    endpointId ?? 'all',
    String(authorizations),
    String(Math.round(before.runsPerDay)),
    String(Math.round(after.runsPerDay)),
    flat(before),
    flat(after),
    late === 0 ? oldest : `${oldest}, ${late} LATE`,
  ];
}

function movedWord(networks: readonly Change[]): string {
  const moved = sum(networks, (one) => one.moved);
  return moved === 0 ? 'and none of them gets another period' : `${moved} of which get another period`;
}

function lateWord(networks: readonly Change[]): string {
  const late = sum(networks, (one) => one.late);
  if (late === 0) return 'No records become late by the change.\n';
  return `${late} authorizations' records will be late by the new table before their next run.\n`;
}

function sum(networks: readonly Change[], of: (one: Change) => number): number {
  return networks.reduce((all, one) => all + of(one), 0);
}
