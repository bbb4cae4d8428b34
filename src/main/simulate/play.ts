import { cadenceOf } from '../../core/cadence.ts';
import { UNITS } from '../../core/limits.ts';
import type { FaultPlan } from './faults.ts';
import { isIn } from './faults.ts';
import { createFigures, type Figures } from './figures.ts';
import type { Fleet } from './fleet.ts';
import { createGroup, type Group, STANDING } from './group.ts';
import { noteUnpulled } from './lateness.ts';
import { PURPOSES } from './random.ts';
import { wake } from './run.ts';
import { type Settings, START } from './settings.ts';
import { memberAt } from './timeline.ts';
import { draw } from './turn.ts';

const { MINUTE_MS, DAY_MS } = UNITS;

/** Lets the time of one group pass from its first minute to its last. `onDay` hears of each day that is over. */
export function playGroup({
  settings,
  faults,
  fleet,
  mine,
  onDay,
}: {
  readonly settings: Settings;
  readonly faults: FaultPlan;
  readonly fleet: Fleet;
  readonly mine: readonly number[];
  readonly onDay: () => void;
}): Figures {
  const minutes = (settings.days * DAY_MS) / MINUTE_MS;
  const extent = { minutes, endpoints: fleet.endpoints.length, days: settings.days };
  const figures = createFigures({ ...extent, downtimes: faults.downtimes.length });
  const group = createGroup({ settings, faults, fleet, mine, figures });
  for (let minute = 0; minute < minutes; minute += 1) {
    befall(group, minute);
    if (!isIn(faults.downtimes, minute * MINUTE_MS)) work(group, minute);
    if ((minute + 1) % (DAY_MS / MINUTE_MS) === 0) onDay();
  }
  noteUnpulled(group);
  return figures;
}

/** All who wake in this minute, also those who come back within it. */
function work(group: Group, minute: number): void {
  const { timeline } = group;
  for (let keys = timeline.take(minute); keys.length > 0; keys = timeline.take(minute)) {
    for (const key of keys) {
      const member = memberAt(key);
      wake({ group, member, now: START + Math.max(minute * MINUTE_MS, timeline.wakeOf(member)) });
    }
  }
}

/** What happens to the whole fleet in this minute, if anything does. */
function befall(group: Group, minute: number): void {
  const { faults } = group;
  const starts = (at: number | null | undefined): boolean => at !== null && at === minute * MINUTE_MS;
  if (starts(faults.redisLostAt)) loseRedis(group, minute);
  if (starts(faults.periodChange?.at)) changeCadence(group);
  for (const [at, { to }] of faults.downtimes.entries()) if (starts(to)) catchUp(group, minute, at);
  for (const step of faults.clockSteps) if (starts(step.from)) stepClocks(group, minute, step);
}

function loseRedis(group: Group, minute: number): void {
  const { members, timeline, figures, settings } = group;
  const now = minute * MINUTE_MS;
  for (let member = 0; member < members.index.length; member += 1) {
    if (members.standing[member] !== STANDING.active) continue;
    if (!settings.variant.repairs) {
      timeline.clear(member);
      continue;
    }
    figures.repaired += 1;
    timeline.set(member, Math.max(now + MINUTE_MS, (members.nextRunAt[member] ?? 0) - START));
  }
}

function changeCadence({ endpoints, faults }: Group): void {
  for (const endpoint of endpoints) {
    if (endpoint === undefined || faults.periodChange === null) continue;
    endpoint.cadence = cadenceOf({ network: endpoint.network, endpoint, cadence: {} }, faults.periodChange.cadence);
  }
}

function catchUp(group: Group, minute: number, downtime: number): void {
  const { members, timeline, faults } = group;
  const { from } = faults.downtimes[downtime] ?? { from: 0 };
  for (let missed = from / MINUTE_MS; missed < minute; missed += 1) {
    for (const key of timeline.take(missed)) {
      const member = memberAt(key);
      members.catchingUp[member] = downtime + 1;
      timeline.set(member, minute * MINUTE_MS);
    }
  }
}

/** Workers whose clocks are ahead find jobs due that are not. */
function stepClocks(group: Group, minute: number, step: FaultPlan['clockSteps'][number]): void {
  const { members, timeline } = group;
  const now = minute * MINUTE_MS;
  for (let member = 0; member < members.index.length; member += 1) {
    const at = timeline.wakeOf(member);
    if (at <= now || at > now + step.byMs || members.standing[member] !== STANDING.active) continue;
    if (draw({ group, member, purpose: PURPOSES.steppedClock }) < step.share) timeline.set(member, now);
  }
}
