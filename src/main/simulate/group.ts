import type { Cadence } from '../../core/cadence.ts';
import { cadenceOf, nextSlot, periodOf, phaseOf } from '../../core/cadence.ts';
import { FRESH_GATE, type GateState } from '../../core/gate.ts';
import { UNITS } from '../../core/limits.ts';
import type { Lone } from './doors.ts';
import { type FaultPlan, type Weather, weatherOf } from './faults.ts';
import type { Figures } from './figures.ts';
import type { EndpointPlan, Fleet } from './fleet.ts';
import { type Habit, habitOf } from './habits.ts';
import { type Learned, nothingLearned } from './learning.ts';
import { drawOf, PURPOSES } from './random.ts';
import { type Settings, START } from './settings.ts';
import { createTimeline, type Timeline } from './timeline.ts';

const { DAY_MS, MINUTE_MS } = UNITS;

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
  /** 0, or 1 and the place in {@link TROUBLES}. */
  readonly trouble: Uint8Array;
  readonly troubleSince: Float64Array;
  readonly troubleUntil: Float64Array;
  /** What has held it up since the last complete pull, one of {@link DELAYS}. */
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
  /** The latest end of those that the gate's state knows to be there. */
  busyUntil: number;
  readonly lone: Lone;
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

/** The group of these endpoints as it stands at the start: in full swing, with new ones still to come. */
export function createGroup({
  settings,
  faults,
  fleet,
  mine,
  figures,
}: {
  readonly settings: Settings;
  readonly faults: FaultPlan;
  readonly fleet: Fleet;
  readonly mine: readonly number[];
  readonly figures: Figures;
}): Group {
  const endpoints: (EndpointState | undefined)[] = [];
  for (const place of mine) {
    const plan = fleet.endpoints[place];
    if (plan === undefined) continue;
    endpoints[place] = {
      ...plan,
      place,
      weather: weatherOf({ settings, endpoint: place }),
      habit: habitOf({ seed: settings.seed, endpoint: place }),
      learned: nothingLearned(plan, { settings }),
      cadence: cadenceOf({ network: plan.network, endpoint: plan, cadence: {} }, settings.cadence),
      gate: FRESH_GATE,
      busyUntil: 0,
      lone: { holder: 0, since: 0, until: 0 },
    };
  }
  const members = membersOf({ fleet, wanted: new Set(mine) });
  const minutes = (settings.days * DAY_MS) / MINUTE_MS;
  const timeline = createTimeline({ members: members.index.length, minutes });
  const group = { settings, faults, figures, members, endpoints, timeline };
  for (let member = 0; member < members.index.length; member += 1) begin({ group, fleet, member });
  return group;
}

/** The period that a grant made now gives an authorization of an endpoint. */
export function periodAt({ cadence, accessLifetimeMs, refreshLifetimeMs }: EndpointState): number {
  return periodOf({ cadence, accessLifetimeMs, refreshLifetimeMs });
}

function membersOf({ fleet, wanted }: { readonly fleet: Fleet; readonly wanted: ReadonlySet<number> }): Members {
  const index: number[] = [];
  for (let at = 0; at < fleet.endpointOf.length; at += 1) {
    if (wanted.has(fleet.endpointOf[at] ?? 0)) index.push(at);
  }
  const { length } = index;
  const instants = () => new Float64Array(length).fill(Number.NaN);
  const small = () => new Uint8Array(length);
  return {
    index: Uint32Array.from(index),
    endpoint: Uint16Array.from(index, (at) => fleet.endpointOf[at] ?? 0),
    phase: Float64Array.from(index, (at) => fleet.phases[at] ?? 0),
    standing: small(),
    periodMs: new Float64Array(length),
    nextRunAt: instants(),
    nextPullAt: instants(),
    freshAsOf: instants(),
    pulledAt: instants(),
    lastPullAt: instants(),
    lastPullFailed: small(),
    accessExpiresAt: instants(),
    refreshExpiresAt: instants(),
    failedRuns: small(),
    trouble: small(),
    troubleSince: instants(),
    troubleUntil: instants(),
    delayed: small(),
    wakes: new Uint32Array(length),
    catchingUp: small(),
  };
}

/** One that was there before has just run at its slot, and its tokens are somewhere in their life; a new one waits for its acceptance. */
function begin({
  group: { settings, members, endpoints, timeline },
  fleet,
  member,
}: {
  readonly group: Group;
  readonly fleet: Fleet;
  readonly member: number;
}): void {
  const endpoint = endpoints[members.endpoint[member] ?? 0];
  const index = members.index[member] ?? 0;
  const acceptedAt = fleet.acceptedAt[index] ?? 0;
  if (acceptedAt >= 0 || endpoint === undefined) {
    timeline.set(member, acceptedAt);
    return;
  }
  const periodMs = periodAt(endpoint);
  const phaseMs = phaseOf({ id: '', periodMs, phase: members.phase[member] ?? 0 });
  const slot = nextSlot({ now: START - 1, periodMs, phaseMs });
  const ranAt = slot - periodMs;
  const runsPerToken = Math.max(1, Math.floor(Math.min(endpoint.accessLifetimeMs, DAY_MS) / periodMs) - 1);
  const runsAgo = Math.floor(drawOf(settings.seed, index, 0, PURPOSES.firstGrant) * runsPerToken);
  const grantedAt = ranAt - runsAgo * periodMs;
  members.standing[member] = STANDING.active;
  members.periodMs[member] = periodMs;
  members.nextRunAt[member] = slot;
  members.freshAsOf[member] = ranAt;
  members.pulledAt[member] = ranAt;
  members.lastPullAt[member] = ranAt;
  members.accessExpiresAt[member] = grantedAt + endpoint.accessLifetimeMs;
  members.refreshExpiresAt[member] = grantedAt + endpoint.refreshLifetimeMs;
  timeline.set(member, slot - START);
}
