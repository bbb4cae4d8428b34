import { NETWORKS, type NetworkName } from '../../core/networks.ts';
import { addHistogram, createHistogram, type Histogram } from './histogram.ts';

/** Why records were late: their source failed, no worker was there, or no reason that counts. */
const CAUSES = ['upstream', 'downtime', 'unexplained'] as const;
export type Cause = (typeof CAUSES)[number];

export type NetworkFigures = {
  /** Age of the records just before each pull that replaced them; seconds. */
  readonly freshness: Histogram;
  /** How much later than planned runs began; seconds. */
  readonly lateness: Histogram;
  readonly late: Record<Cause, number>;
  latestMs: number;
  runs: number;
  pulls: number;
  refreshes: number;
  /** Tokens that nobody can renew any more. */
  died: number;
  /** Runs that began without a valid access token. */
  tokenGaps: number;
  /** Hours squared: the time that changes at the source waited, over time. */
  waitedHours: number;
  watchedHours: number;
};

/** What a part of the fleet did. All of it adds up. */
export type Figures = {
  readonly networks: Record<NetworkName, NetworkFigures>;
  /** Repeating runs by minute since the start. */
  readonly runs: Uint32Array;
  /** First runs after acceptance, which a person waits for. */
  readonly firstRuns: Uint32Array;
  /** Repeating runs that make up for a source that failed, or for downtime. */
  readonly makingUp: Uint32Array;
  /** HTTP requests by endpoint and day. */
  readonly requests: Uint32Array;
  /** Jobs that the queue woke and that the plan sent back. */
  sentBack: number;
  /** Jobs and schedules that were lost and came back. */
  repaired: number;
  /** By downtime: when the last of its overdue runs began, milliseconds after its end. */
  readonly catchUpMs: Float64Array;
};

/** How much there is to count. */
export type Extent = {
  readonly minutes: number;
  readonly endpoints: number;
  readonly days: number;
  readonly downtimes: number;
};

/** Nothing counted yet. */
export function createFigures({ minutes, endpoints, days, downtimes }: Extent): Figures {
  const one = (): NetworkFigures => ({
    freshness: createHistogram(),
    lateness: createHistogram(),
    late: { upstream: 0, downtime: 0, unexplained: 0 },
    latestMs: 0,
    runs: 0,
    pulls: 0,
    refreshes: 0,
    died: 0,
    tokenGaps: 0,
    waitedHours: 0,
    watchedHours: 0,
  });
  return {
    networks: { TEFCA_IAS: one(), CMS_9115: one(), ONC_G10: one() },
    runs: new Uint32Array(minutes),
    firstRuns: new Uint32Array(minutes),
    makingUp: new Uint32Array(minutes),
    requests: new Uint32Array(endpoints * days),
    sentBack: 0,
    repaired: 0,
    catchUpMs: new Float64Array(downtimes),
  };
}

/** Adds what another part of the fleet did. */
export function addFigures(into: Figures, from: Figures): void {
  for (const network of NETWORKS) addNetwork(into.networks[network], from.networks[network]);
  for (const name of ['runs', 'firstRuns', 'makingUp', 'requests'] as const) {
    const sums = into[name];
    const added = from[name];
    for (let at = 0; at < sums.length; at += 1) sums[at] = (sums[at] ?? 0) + (added[at] ?? 0);
  }
  into.sentBack += from.sentBack;
  into.repaired += from.repaired;
  for (const [at, ms] of from.catchUpMs.entries()) into.catchUpMs[at] = Math.max(into.catchUpMs[at] ?? 0, ms);
}

function addNetwork(into: NetworkFigures, from: NetworkFigures): void {
  addHistogram(into.freshness, from.freshness);
  addHistogram(into.lateness, from.lateness);
  for (const cause of CAUSES) into.late[cause] += from.late[cause];
  into.latestMs = Math.max(into.latestMs, from.latestMs);
  for (const name of ['runs', 'pulls', 'refreshes', 'died', 'tokenGaps', 'waitedHours', 'watchedHours'] as const) {
    into[name] += from[name];
  }
}
