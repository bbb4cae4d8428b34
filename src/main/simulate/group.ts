import { cadenceOf, nextSlot, phaseOf } from '../../core/cadence.ts';
import { UNITS } from '../../core/limits.ts';
import { createPlaces, GATE_AT_START } from './doors.ts';
import { type FaultPlan, weatherOf } from './faults.ts';
import type { Figures } from './figures.ts';
import type { Fleet } from './fleet.ts';
import { habitOf } from './habits.ts';
import { nothingLearned } from './learning.ts';
import { drawOf, PURPOSES } from './random.ts';
import { type Settings, START } from './settings.ts';
import { type EndpointState, type Group, type Members, periodAt, STANDING } from './state.ts';
import { createTimeline } from './timeline.ts';

const { DAY_MS, MINUTE_MS } = UNITS;

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
      gate: GATE_AT_START,
      places: createPlaces(),
    };
  }
  const members = membersOf({ fleet, wanted: new Set(mine) });
  const minutes = (settings.days * DAY_MS) / MINUTE_MS;
  const timeline = createTimeline({ members: members.index.length, minutes });
  const group = { settings, faults, figures, members, endpoints, timeline };
  for (let member = 0; member < members.index.length; member += 1) begin({ group, fleet, member });
  return group;
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
