import { UNITS } from '../../core/limits.ts';
import { befall } from './befall.ts';
import { type FaultPlan, isIn } from './faults.ts';
import { createFigures, type Figures } from './figures.ts';
import type { Fleet } from './fleet.ts';
import { createGroup } from './group.ts';
import { noteUnpulled } from './lateness.ts';
import { wake } from './run.ts';
import { type Settings, START } from './settings.ts';
import type { Group } from './state.ts';
import { memberAt } from './timeline.ts';

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
