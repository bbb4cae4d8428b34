import type { AdaptiveRange } from '../../core/adaptive.ts';
import { type Cadence, periodOf } from '../../core/cadence.ts';
import type { ChangeProfile, ChangeRates, Tally } from '../../core/change-profile.ts';
import type { GateState } from '../../core/gate.ts';
import type { FaultPlan, Weather } from './faults.ts';
import type { Figures } from './figures.ts';
import type { EndpointPlan } from './fleet.ts';
import type { Habit } from './habits.ts';
import type { Settings } from './settings.ts';
import type { Timeline } from './timeline.ts';

export const STANDING = { waiting: 0, active: 1, dead: 2 } as const;
/** Nothing, the line at its endpoint's gate, or its source. */
export const DELAYS = { none: 0, inLine: 1, upstream: 2 } as const;
export const TROUBLES = ['outage', 'throttled'] as const;

/** The authorizations of some endpoints, one column for each thing that is kept of them. Instants are those of the calendar; NaN is none. */
export type Members = {
  /** The number in the whole fleet. */
  readonly index: Uint32Array;
  readonly endpoint: Uint16Array;
  readonly phase: Float64Array;
  readonly standing: Uint8Array;
  readonly periodMs: Float64Array;
  readonly nextRunAt: Float64Array;
  readonly nextPullAt: Float64Array;
  readonly freshAsOf: Float64Array;
  /** When that really was, whatever the worker's clock said. */
  readonly pulledAt: Float64Array;
  readonly lastPullAt: Float64Array;
  readonly lastPullFailed: Uint8Array;
  readonly accessExpiresAt: Float64Array;
  readonly refreshExpiresAt: Float64Array;
  readonly failedRuns: Uint8Array;
  /** 0, or 1 and the place in TROUBLES. */
  readonly trouble: Uint8Array;
  readonly troubleSince: Float64Array;
  readonly troubleUntil: Float64Array;
  /** What has held it up since the last complete pull, one of DELAYS. */
  readonly delayed: Uint8Array;
  /** Wakes so far; what its draws are numbered by. */
  readonly wakes: Uint32Array;
  /** 1 and the place of the downtime that it has to catch up on. */
  readonly catchingUp: Uint8Array;
};

export type EndpointState = EndpointPlan & {
  readonly place: number;
  readonly weather: Weather;
  readonly habit: Habit;
  readonly learned: Learned;
  cadence: Cadence;
  gate: GateState;
  readonly places: Places;
};

/** Some endpoints with all their authorizations: nothing in it depends on any other group. */
export type Group = {
  readonly settings: Settings;
  readonly faults: FaultPlan;
  readonly figures: Figures;
  readonly members: Members;
  /** By place in the fleet; only those of this group. */
  readonly endpoints: readonly (EndpointState | undefined)[];
  readonly timeline: Timeline;
};

/** The places of an endpoint's gate: who has each, and until when. A run is over by its end, and needs no event of its own for that. */
export type Places = { readonly holder: Int32Array; readonly since: Float64Array; readonly until: Float64Array };

/** What has been learned of one endpoint; `range` is null where its cadence does not adapt. */
export type Learned = {
  range: AdaptiveRange | null;
  tally: Tally;
  profile: ChangeProfile | null;
  rates: ChangeRates;
  meanPerHour: number;
};

/** The period that a grant made now gives an authorization of an endpoint. */
export function periodAt({ cadence, accessLifetimeMs, refreshLifetimeMs }: EndpointState): number {
  return periodOf({ cadence, accessLifetimeMs, refreshLifetimeMs });
}
