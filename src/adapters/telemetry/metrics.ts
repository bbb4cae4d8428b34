import { setTimeout as wait } from 'node:timers/promises';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { LastPass } from '../../core/ports/fleet.ts';
import type { Metrics } from '../../core/ports/telemetry.ts';
import { makeFleetCounters } from './fleet-counters.ts';
import { type FreshnessSnapshot, makeFreshnessGauges } from './freshness-gauges.ts';
import { label } from './label.ts';
import { makePurgeGauges, type PurgeLagSnapshot } from './purge-gauges.ts';
import { makeReconcileGauges } from './reconcile-gauges.ts';

const limits = {
  /** A scrape answers within Prometheus' usual 10 s even when the store does not. */
  collectTimeoutMs: 3_000,
} as const;

/** Seconds: a token reply takes tenths, a pull minutes, a late purge hours. */
const BUCKETS_S = {
  refresh: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15],
  pull: [0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3_600],
  purgeLag: [0.1, 1, 5, 30, 60, 300, 3_600, 86_400],
  job: [0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3_600],
} as const;

/** What is true at the moment of a scrape, counted by the store and the queue. */
type GaugeSnapshot = {
  readonly authorizationsByState: Readonly<Record<string, number>>;
  /** Jobs by queue and by the queue's own job state. */
  readonly queueJobs: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly purgesOverdue?: number;
  readonly purgeLag?: PurgeLagSnapshot;
  readonly freshness?: readonly FreshnessSnapshot[];
  readonly oldestRecordAgeSeconds?: number;
  readonly lastPass?: LastPass | null;
  /** Standing authorizations that end within so many days, by those days. */
  readonly endingWithinDays?: Readonly<Record<string, number>>;
  /** Endpoints by how their gates stand, as this process saw them last. */
  readonly gates?: Readonly<Record<string, number>>;
  /** Sources in trouble, with what it is. */
  readonly sourceConditions?: readonly { readonly source: string; readonly condition: string }[];
};

export type Telemetry = {
  readonly metrics: Metrics;
  /** Prometheus' text format. Resolves even when the gauges cannot be collected; that is counted. Never rejects. */
  readonly text: () => Promise<string>;
  /** Registers what asks for the gauges at each scrape; the last one registered counts. */
  readonly setGauges: (collect: () => Promise<GaugeSnapshot>) => void;
};

/** Counters, histograms and gauges in a registry of their own, with Node's process metrics. No id and no health data is in a label. */
export function createMetrics(): Telemetry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const gauges = makeGauges(registry);
  let collect: (() => Promise<GaugeSnapshot>) | null = null;
  return {
    metrics: makeMetrics(registry),
    setGauges: (next) => {
      collect = next;
    },
    text: async () => {
      if (collect !== null) await gauges.refresh(collect);
      return await registry.metrics();
    },
  };
}

function makeMetrics(registry: Registry): Metrics {
  const registers = [registry];
  const counter = <T extends string>(name: string, help: string, labelNames: readonly T[]) =>
    new Counter({ name: `perennial_${name}`, help, labelNames, registers });
  const seconds = (name: string, help: string, buckets: readonly number[]) =>
    new Histogram({ name: `perennial_${name}`, help, buckets: [...buckets], registers });

  const refreshes = counter('token_refreshes_total', 'Token refreshes by outcome', ['network', 'outcome']);
  const refreshSeconds = seconds('token_refresh_seconds', 'Time of one token refresh', BUCKETS_S.refresh);
  const pulls = counter('pulls_total', 'Pulls by result', ['network', 'result']);
  const pullSeconds = seconds('pull_seconds', 'Time of one pull', BUCKETS_S.pull);
  const records = counter('records_total', 'Records added, modified and removed by pulls', ['change']);
  const refused = counter('entries_refused_total', 'Entries of pages that were not stored', ['reason']);
  const purges = counter('purges_total', 'Finished purges by reason', ['reason']);
  const purgeSeconds = seconds(
    'purge_seconds',
    'Time from purge deadline to receipt, of purges that this process ended',
    BUCKETS_S.purgeLag,
  );
  const jobs = counter('jobs_total', 'Jobs by queue and outcome', ['queue', 'outcome']);
  const jobSeconds = seconds('job_seconds', 'Time of one job', BUCKETS_S.job);

  return {
    refresh: ({ network, outcome, durationMs }) => {
      refreshes.inc({ network: label(network), outcome: label(outcome) });
      refreshSeconds.observe(durationMs / 1_000);
    },
    pull: ({ network, result, durationMs }) => {
      pulls.inc({ network: label(network), result: label(result) });
      pullSeconds.observe(durationMs / 1_000);
    },
    records: ({ added, modified, removed }) => {
      records.inc({ change: 'added' }, added);
      records.inc({ change: 'modified' }, modified);
      records.inc({ change: 'removed' }, removed);
    },
    refused: ({ reason, count }) => refused.inc({ reason: label(reason) }, count),
    purge: ({ reason, lagMs }) => {
      purges.inc({ reason: label(reason) });
      purgeSeconds.observe(Math.max(0, lagMs) / 1_000);
    },
    job: ({ queue, outcome, durationMs }) => {
      jobs.inc({ queue: label(queue), outcome: label(outcome) });
      jobSeconds.observe(durationMs / 1_000);
    },
    ...makeFleetCounters(counter),
  };
}

function makeGauges(registry: Registry) {
  const registers = [registry];
  const gauge = <T extends string>(name: string, help: string, labelNames: readonly T[] = []) =>
    new Gauge({ name: `perennial_${name}`, help, labelNames, registers });
  const authorizations = gauge('authorizations', 'Authorizations by state', ['state']);
  const queueJobs = gauge('queue_jobs', 'Jobs by queue and state', ['queue', 'state']);
  const overdue = gauge('purges_overdue', 'Purges whose deadline has passed');
  const purgeLag = makePurgeGauges(registry);
  const freshness = makeFreshnessGauges(registry);
  const reconcile = makeReconcileGauges(registry);
  const oldest = gauge('oldest_record_age_seconds', 'Age of the stalest records of an active authorization');
  const conditions = gauge('source_condition', 'Sources in trouble, and with what', ['source', 'condition']);
  const gates = gauge('gates', 'Endpoints by how their gates stand, as this process saw them last', ['condition']);
  const ending = gauge('authorizations_ending', 'Standing ones that end within so many days', ['within_days']);
  const failures = makeFailures(registers);

  const apply = (snapshot: GaugeSnapshot) => {
    authorizations.reset();
    queueJobs.reset();
    for (const [state, count] of Object.entries(snapshot.authorizationsByState)) {
      authorizations.set({ state: label(state) }, count);
    }
    for (const [queue, states] of Object.entries(snapshot.queueJobs)) {
      for (const [state, count] of Object.entries(states)) {
        queueJobs.set({ queue: label(queue), state: label(state) }, count);
      }
    }
    conditions.reset();
    for (const { source, condition } of snapshot.sourceConditions ?? []) {
      conditions.set({ source: label(source), condition: label(condition) }, 1);
    }
    for (const [condition, count] of Object.entries(snapshot.gates ?? {})) gates.set({ condition }, count);
    ending.reset();
    for (const [days, count] of Object.entries(snapshot.endingWithinDays ?? {})) {
      ending.set({ within_days: label(days) }, count);
    }
    if (snapshot.purgesOverdue !== undefined) overdue.set(snapshot.purgesOverdue);
    reconcile.set(snapshot.lastPass ?? null);
    if (snapshot.freshness !== undefined) freshness.set(snapshot.freshness);
    if (snapshot.purgeLag !== undefined) purgeLag.set(snapshot.purgeLag);
    if (snapshot.oldestRecordAgeSeconds !== undefined) oldest.set(snapshot.oldestRecordAgeSeconds);
  };

  return {
    refresh: async (collect: () => Promise<GaugeSnapshot>) => {
      const cancel = new AbortController();
      const late = wait(limits.collectTimeoutMs, null, { signal: cancel.signal, ref: false }).catch(() => null);
      try {
        const snapshot = await Promise.race([collect(), late]);
        if (snapshot === null) failures.inc();
        else apply(snapshot);
      } catch {
        failures.inc();
      } finally {
        cancel.abort();
      }
    },
  };
}

function makeFailures(registers: Registry[]): Counter {
  return new Counter({
    name: 'perennial_scrape_failures_total',
    help: 'Scrapes whose gauges could not be collected and stand as they were',
    registers,
  });
}
