import type { CadenceTable } from '../../core/cadence.ts';
import { UNITS } from '../../core/limits.ts';
import { NETWORK_POLICIES } from '../../core/networks.ts';
import { drawOf, PURPOSES } from './random.ts';
import { type Fault, IMPORT_MAX, type Settings } from './settings.ts';

const { HOUR_MS, DAY_MS, MINUTE_MS, SECOND_MS } = UNITS;

/** Milliseconds since the start. */
export type Span = { readonly from: number; readonly to: number };

/** All that befalls the fleet as a whole, and how often what befalls one does. */
export type FaultPlan = {
  readonly downtimes: readonly Span[];
  /** Redis loses everything. */
  readonly redisLostAt: number | null;
  readonly importAt: number | null;
  readonly periodChange: { readonly at: number; readonly cadence: CadenceTable } | null;
  /** The clocks of some workers are wrong by so much. */
  readonly clockSteps: readonly (Span & { readonly byMs: number; readonly share: number })[];
  readonly lostJobShare: number;
  readonly refreshFailShare: number;
  readonly pullFailShare: number;
};

/** When each fault comes, as a share of the days, so that short simulations have all of them. */
const AT = { redis: 0.15, hour: 0.25, import: 0.35, twoDays: 0.45, clockAhead: 0.6, clockBehind: 0.64, period: 0.75 };
/** A two-day downtime needs days on both sides of it. */
const TWO_DAYS_FROM_DAYS = 10;
/** The period of the network of the change becomes so many times as long. */
const PERIOD_FACTOR = 4 / 3;

/** Less than records are pulled ahead of their time: what a clock that is wrong by more costs is not promised. */
const CLOCK_STEP_MS = 45 * MINUTE_MS;

/** The seeded schedule of a simulation. */
export function planFaults(settings: Settings): FaultPlan {
  const { days, faults } = settings;
  const has = (fault: Fault): boolean => faults.includes(fault);
  const at = (share: number, hour: number): number => Math.floor(share * days) * DAY_MS + hour * HOUR_MS;
  const hourAway = { from: at(AT.hour, 10), to: at(AT.hour, 11) };
  const daysAway = { from: at(AT.twoDays, 9), to: at(AT.twoDays, 57) };
  const step = { share: 0.25, byMs: CLOCK_STEP_MS };
  return {
    downtimes: has('downtime') ? (days >= TWO_DAYS_FROM_DAYS ? [hourAway, daysAway] : [hourAway]) : [],
    redisLostAt: has('redis') ? at(AT.redis, 15) : null,
    importAt: has('import') ? at(AT.import, 14) : null,
    periodChange: has('period') ? { at: at(AT.period, 8), cadence: changedCadence(settings) } : null,
    clockSteps: has('clock')
      ? [
          { ...step, from: at(AT.clockAhead, 12), to: at(AT.clockAhead, 12) + 30 * MINUTE_MS },
          { ...step, from: at(AT.clockBehind, 12), to: at(AT.clockBehind, 12) + 30 * MINUTE_MS, byMs: -step.byMs },
        ]
      : [],
    lostJobShare: has('jobs') ? 1 / 10_000 : 0,
    refreshFailShare: has('refresh') ? 1 / 200 : 0,
    pullFailShare: has('refresh') ? 1 / 500 : 0,
  };
}

function changedCadence({ cadence }: Settings): CadenceTable {
  const before = cadence.networks.TEFCA_IAS?.pullEveryMs ?? NETWORK_POLICIES.TEFCA_IAS.pullEveryMs;
  const changed = { ...cadence.networks.TEFCA_IAS, pullEveryMs: before * PERIOD_FACTOR };
  return { ...cadence, networks: { ...cadence.networks, TEFCA_IAS: changed } };
}

/** A service hands over an import at so many a second. */
const ACCEPTED_PER_SECOND = 500;

/** The bulk import, if there is one: how many, and when the first and the last are accepted. */
export function importOf({ settings, faults }: { readonly settings: Settings; readonly faults: FaultPlan }) {
  if (faults.importAt === null) return null;
  const size = Math.min(IMPORT_MAX, Math.floor(settings.authorizations / 2));
  const eachMs = SECOND_MS / ACCEPTED_PER_SECOND;
  return { at: faults.importAt, size, eachMs, endsAt: faults.importAt + size * eachMs };
}

/** What an endpoint suffers: outages of one to nine hours every three weeks or so, throttled hours every two. */
export type Weather = { readonly outages: readonly Span[]; readonly throttled: readonly Span[] };

const OUTAGES_PER_DAY = 1 / 20;
const OUTAGE_MAX_MS = 8 * HOUR_MS;
const THROTTLED_PER_DAY = 1 / 14;
const THROTTLED_MAX_MS = 5 * HOUR_MS;

/** The weather of one endpoint over all days. */
export function weatherOf({ settings, endpoint }: { readonly settings: Settings; readonly endpoint: number }): Weather {
  const { seed, days, faults } = settings;
  const spans = (purpose: number, perDay: number, maxMs: number): readonly Span[] =>
    Array.from({ length: days }, (_, day) => {
      const draw = drawOf(seed, endpoint, day, purpose) / perDay;
      if (draw >= 1) return null;
      const from = day * DAY_MS + drawOf(seed, endpoint, day + days, purpose) * DAY_MS;
      return { from, to: from + HOUR_MS + draw * maxMs };
    }).filter((span) => span !== null);
  return {
    outages: faults.includes('outages') ? spans(PURPOSES.outage, OUTAGES_PER_DAY, OUTAGE_MAX_MS) : [],
    throttled: faults.includes('throttling') ? spans(PURPOSES.throttling, THROTTLED_PER_DAY, THROTTLED_MAX_MS) : [],
  };
}

/** Whether an instant lies in one of the spans. */
export function isIn(spans: readonly Span[], at: number): boolean {
  for (const { from, to } of spans) if (at >= from && at < to) return true;
  return false;
}
