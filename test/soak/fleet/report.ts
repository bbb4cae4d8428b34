import type { Repair } from './judge.ts';
import type { FaultKind } from './schedule.ts';
import type { Struck } from './strike.ts';

/** What a run of the fleet came to. */
export type FleetReport = {
  readonly seed: string;
  readonly authorizations: number;
  readonly minutes: number;
  readonly pulls: number;
  readonly refreshes: number;
  readonly struck: readonly Struck[];
  readonly repairs: readonly Repair[];
  /** How long the set of repeating jobs was not whole, each time. */
  readonly scheduleGapsMs: readonly number[];
  /** By how much purges were late, where they were. */
  readonly purgesLateMs: readonly number[];
  /** Overlapping requests of processes that had just been woken. */
  readonly woken: number;
  /** Each broken promise, in words. */
  readonly broken: Readonly<
    Record<'lost' | 'overlapped' | 'late' | 'schedulers' | 'twice' | 'died' | 'unsettled', readonly string[]>
  >;
};

/** Whether every promise was kept. */
export function isWhole({ broken }: FleetReport): boolean {
  return Object.values(broken).every((faults) => faults.length === 0);
}

/** The report as text. */
export function textOf(report: FleetReport): string {
  const {
    seed,
    authorizations,
    minutes,
    pulls,
    refreshes,
    struck,
    repairs,
    scheduleGapsMs,
    purgesLateMs,
    woken,
    broken,
  } = report;
  const kinds = [...new Set(struck.map(({ kind }) => kind))].sort();
  const faults = kinds.map(
    (kind) => `  ${kind.padEnd(20)} ${String(countOf(struck, kind)).padStart(3)}   ${spread(lateBy(repairs, kind))}`,
  );
  const counts = Object.entries(broken).map(([what, all]) => `${all.length} ${what}`);
  return [
    `${authorizations} authorizations, ${minutes.toFixed(1)} min of faults, seed ${seed}`,
    `${pulls} pages pulled, ${refreshes} refreshes`,
    `  ${'fault'.padEnd(18)} times   runs that were late after it, and by how much`,
    ...faults,
    `late runs in all: ${spread(repairs.map(({ lateMs }) => lateMs))}`,
    `repeating jobs not whole: ${spread(scheduleGapsMs)}`,
    `late purges: ${spread(purgesLateMs)}`,
    `requests of just woken processes beside others: ${woken}`,
    counts.join(', '),
    ...Object.entries(broken).flatMap(([what, all]) => all.map((one) => `BROKEN ${what}: ${one}`)),
  ].join('\n');
}

function countOf(struck: readonly Struck[], kind: FaultKind): number {
  return struck.filter((one) => one.kind === kind).length;
}

function lateBy(repairs: readonly Repair[], kind: FaultKind): readonly number[] {
  return repairs.filter(({ fault }) => fault === kind).map(({ lateMs }) => lateMs);
}

/** Count, median, 95th and 99th percentile and the greatest, in seconds. */
function spread(ms: readonly number[]): string {
  if (ms.length === 0) return 'none';
  const sorted = ms.toSorted((left, right) => left - right);
  const at = (share: number): string =>
    ((sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0) / 1_000).toFixed(1);
  return `${sorted.length}: p50 ${at(0.5)} s, p95 ${at(0.95)} s, p99 ${at(0.99)} s, max ${at(1)} s`;
}
