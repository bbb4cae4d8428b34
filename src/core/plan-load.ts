import type { CadenceOverride } from './authorization.ts';
import { type CadenceTable, cadenceOf, nextSlot, phaseOf } from './cadence.ts';
import type { Instant } from './clock.ts';
import { decidePeriod, type Standing } from './decide-period.ts';
import type { TokenFacts } from './decide-refresh.ts';
import { UNITS } from './limits.ts';
import type { NetworkName } from './networks.ts';
import { PLAN_LIMITS } from './plan-limits.ts';

const { MINUTE_MS, DAY_MS } = UNITS;
const MINUTES = PLAN_LIMITS.aheadMs / MINUTE_MS;
const QUARTER_MINUTES = 15;

/** A standing authorization as a preview needs it. */
export type PlannedRow = Standing &
  Pick<TokenFacts, 'accessExpiresAt' | 'accessLifetimeMs' | 'refreshExpiresAt'> & {
    readonly network: NetworkName;
    readonly endpoint: { readonly id: string };
    readonly cadence: CadenceOverride;
  };

/** Runs of some authorizations: in the long run, and in the fullest minute of the time ahead. */
export type Load = { readonly runsPerDay: number; readonly peakMinute: number; readonly meanMinute: number };

/** One network, or one endpoint of it (null: all of the network's), by the table that holds and by the new one. */
export type LoadChange = {
  readonly network: NetworkName;
  readonly endpointId: string | null;
  readonly authorizations: number;
  /** Those whose period becomes another one. */
  readonly moved: number;
  readonly before: Load;
  readonly after: Load;
  /** How old the oldest records will be when their next run comes; null where nobody has records. */
  readonly oldestAgeMs: number | null;
  /** Records that will be late by the new table before their next run comes. */
  readonly late: number;
};

export type PlannedLoad = {
  readonly networks: readonly LoadChange[];
  /** The largest ones first. */
  readonly endpoints: readonly LoadChange[];
  readonly moreEndpoints: number;
  /** Runs by quarter of an hour, by the table that holds and by the new one. */
  readonly quarterHours: { readonly before: readonly number[]; readonly after: readonly number[] };
};

/** Counts what a new cadence table would make of a fleet, row by row, with the decisions that would make it so. */
export type LoadCounter = { readonly add: (row: PlannedRow) => void; readonly result: () => PlannedLoad };

type Tally = {
  readonly network: NetworkName;
  readonly endpointId: string | null;
  authorizations: number;
  moved: number;
  late: number;
  oldestAgeMs: number | null;
  readonly perDay: { before: number; after: number };
  readonly runs: { readonly before: Uint32Array; readonly after: Uint32Array };
};

/** A preview of the change from one table to another as of `now`, over {@link PLAN_LIMITS.aheadMs}. */
export function createLoadCounter({
  before,
  after,
  now,
}: {
  readonly before: CadenceTable;
  readonly after: CadenceTable;
  readonly now: Instant;
}): LoadCounter {
  const networks = new Map<NetworkName, Tally>();
  const endpoints = new Map<string, Tally>();
  const add = (row: PlannedRow): void => {
    const change = changeOf({ row, before, after, now });
    const key = JSON.stringify([row.network, row.endpoint.id]);
    const mine = [tallyAt(networks, row.network, row.network, null)];
    const isCounted = endpoints.has(key) || endpoints.size < PLAN_LIMITS.endpointsMax;
    if (isCounted) mine.push(tallyAt(endpoints, key, row.network, row.endpoint.id));
    for (const tally of mine) note(tally, change, now);
  };
  return {
    add,
    result: () => {
      const bySize = [...endpoints.values()].sort((left, right) => right.authorizations - left.authorizations);
      const all = [...networks.values()];
      return {
        networks: all.map(loadChangeOf),
        endpoints: bySize.slice(0, PLAN_LIMITS.endpointsShown).map(loadChangeOf),
        moreEndpoints: Math.max(0, bySize.length - PLAN_LIMITS.endpointsShown),
        quarterHours: {
          before: quartersOf(all.map(({ runs }) => runs.before)),
          after: quartersOf(all.map(({ runs }) => runs.after)),
        },
      };
    },
  };
}

type Change = {
  readonly row: PlannedRow;
  readonly before: { readonly at: Instant; readonly periodMs: number };
  readonly after: { readonly at: Instant; readonly periodMs: number };
  readonly lateAfterMs: number;
};

/** Where the next run and all after it lie, by both tables. What the table that holds now has not moved yet counts as moved. */
function changeOf({
  row,
  before,
  after,
  now,
}: {
  readonly row: PlannedRow;
  readonly before: CadenceTable;
  readonly after: CadenceTable;
  readonly now: Instant;
}): Change {
  const by = (table: CadenceTable) => {
    const moved = decidePeriod({ standing: row, tokens: row, cadence: cadenceOf(row, table), now });
    // A plan that has passed is a run now.
    if (moved.kind === 'move') return { at: Math.max(now, moved.next.at), periodMs: moved.periodMs };
    const { periodMs, nextRunAt } = row;
    return { at: Math.max(now, nextRunAt ?? now), periodMs };
  };
  return { row, before: by(before), after: by(after), lateAfterMs: cadenceOf(row, after).lateAfterMs };
}

function note(tally: Tally, { row, before, after, lateAfterMs }: Change, now: Instant): void {
  tally.authorizations += 1;
  if (after.periodMs !== before.periodMs) tally.moved += 1;
  tally.perDay.before += DAY_MS / before.periodMs;
  tally.perDay.after += DAY_MS / after.periodMs;
  countRuns(tally.runs.before, row, before, now);
  countRuns(tally.runs.after, row, after, now);
  if (row.freshAsOf === null) return;
  const ageMs = after.at - row.freshAsOf;
  tally.oldestAgeMs = Math.max(tally.oldestAgeMs ?? 0, ageMs);
  if (ageMs > lateAfterMs) tally.late += 1;
}

function countRuns(
  runs: Uint32Array,
  { id, phase }: PlannedRow,
  { at: first, periodMs }: Change['before'],
  now: Instant,
): void {
  const phaseMs = phaseOf({ id, periodMs, phase });
  for (let at = first; at < now + PLAN_LIMITS.aheadMs; at = nextSlot({ now: at, periodMs, phaseMs })) {
    const minute = Math.floor((at - now) / MINUTE_MS);
    runs[minute] = (runs[minute] ?? 0) + 1;
  }
}

function tallyAt<K>(tallies: Map<K, Tally>, key: K, network: NetworkName, endpointId: string | null): Tally {
  const known = tallies.get(key);
  if (known !== undefined) return known;
  const runs = { before: new Uint32Array(MINUTES), after: new Uint32Array(MINUTES) };
  const perDay = { before: 0, after: 0 };
  const tally = { network, endpointId, authorizations: 0, moved: 0, late: 0, oldestAgeMs: null, perDay, runs };
  tallies.set(key, tally);
  return tally;
}

function loadChangeOf({
  network,
  endpointId,
  authorizations,
  moved,
  late,
  oldestAgeMs,
  perDay,
  runs,
}: Tally): LoadChange {
  const of = (which: 'before' | 'after'): Load => ({
    runsPerDay: perDay[which],
    peakMinute: runs[which].reduce((most, one) => Math.max(most, one), 0),
    meanMinute: (perDay[which] * MINUTE_MS) / DAY_MS,
  });
  return { network, endpointId, authorizations, moved, before: of('before'), after: of('after'), oldestAgeMs, late };
}

function quartersOf(runs: readonly Uint32Array[]): readonly number[] {
  const quarters = new Array<number>(MINUTES / QUARTER_MINUTES).fill(0);
  for (const one of runs) {
    for (const [minute, count] of one.entries()) {
      const quarter = Math.floor(minute / QUARTER_MINUTES);
      quarters[quarter] = (quarters[quarter] ?? 0) + count;
    }
  }
  return quarters;
}
