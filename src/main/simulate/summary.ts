import { NETWORKS, type NetworkName } from '../../core/networks.ts';
import type { NetworkFigures } from './figures.ts';
import { type Percentiles, percentilesOf } from './histogram.ts';
import { type Peaks, peaksOf } from './peaks.ts';
import type { Simulated } from './simulate.ts';

export type NetworkSummary = {
  readonly network: NetworkName;
  readonly runs: number;
  readonly pulls: number;
  readonly refreshes: number;
  readonly late: NetworkFigures['late'];
  readonly latestHours: number;
  readonly tokensDied: number;
  readonly runsWithoutToken: number;
  /** Age of the records just before each pull. */
  readonly freshnessSeconds: Percentiles;
  readonly latenessSeconds: Percentiles;
  /** For how long what has changed at the source waits, over time and authorizations. */
  readonly meanAgeSeconds: number;
  readonly meanGapSeconds: number;
};

export type Summary = {
  readonly authorizations: number;
  readonly days: number;
  readonly seed: number;
  readonly endpoints: number;
  readonly networks: readonly NetworkSummary[];
  readonly peaks: Peaks;
  /** HTTP requests of one endpoint in one day, over endpoints and days. */
  readonly requestsPerEndpointDay: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly runs: number;
  readonly refreshes: number;
  readonly sentBack: number;
  readonly repaired: number;
  readonly catchUpMinutes: readonly number[];
  /** Late records that no fault of a source and no downtime explains, and tokens that died. */
  readonly broken: number;
};

const HOUR_S = 3_600;

/** What a simulation has shown, as plain figures. */
export function summaryOf({ settings, faults, endpoints, figures }: Simulated): Summary {
  const networks = NETWORKS.map((network) => networkOf(network, figures.networks[network]));
  const sum = (of: (network: NetworkSummary) => number): number => networks.reduce((all, one) => all + of(one), 0);
  return {
    authorizations: settings.authorizations,
    days: settings.days,
    seed: settings.seed,
    endpoints: endpoints.length,
    networks,
    peaks: peaksOf({ settings, faults, figures }),
    requestsPerEndpointDay: sharesOf(figures.requests),
    runs: sum(({ runs }) => runs),
    refreshes: sum(({ refreshes }) => refreshes),
    sentBack: figures.sentBack,
    repaired: figures.repaired,
    catchUpMinutes: [...figures.catchUpMs].map((ms) => ms / 60_000),
    broken: sum(({ late, tokensDied }) => late.unexplained + tokensDied),
  };
}

function networkOf(network: NetworkName, figures: NetworkFigures): NetworkSummary {
  const { freshness, lateness, late, latestMs, runs, pulls, refreshes, died, tokenGaps } = figures;
  return {
    network,
    runs,
    pulls,
    refreshes,
    late,
    latestHours: latestMs / (HOUR_S * 1_000),
    tokensDied: died,
    runsWithoutToken: tokenGaps,
    freshnessSeconds: percentilesOf(freshness),
    latenessSeconds: percentilesOf(lateness),
    meanGapSeconds: pulls === 0 ? 0 : (figures.watchedHours / pulls) * HOUR_S,
    meanAgeSeconds: figures.watchedHours === 0 ? 0 : (figures.waitedHours / figures.watchedHours) * HOUR_S,
  };
}

function sharesOf(requests: Uint32Array): Summary['requestsPerEndpointDay'] {
  const sorted = requests.slice().sort();
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  return { p50: at(0.5), p99: at(0.99), max: sorted.at(-1) ?? 0 };
}
