import type { FaultPlan } from './faults.ts';
import { planFaults } from './faults.ts';
import { addFigures, createFigures, type Figures } from './figures.ts';
import { type EndpointPlan, groupsOf, planFleet } from './fleet.ts';
import type { Settings } from './settings.ts';
import { startThread } from './thread.ts';

export type Simulated = {
  readonly settings: Settings;
  readonly faults: FaultPlan;
  readonly endpoints: readonly EndpointPlan[];
  readonly figures: Figures;
};

/** Groups are small enough for a processor's cache, and many enough for the threads to end together. */
const GROUPS = 16;
/** An adaptive cadence compares an endpoint with its network: a group has to have many of them. */
const GROUPS_ADAPTIVE = 2;
const MINUTES_PER_DAY = 24 * 60;
const TELL_EVERY_MS = 250;

/** Plays the whole fleet in threads. `tell` hears now and then which share is over. The same settings give the same figures, whatever the threads. */
export async function simulate({
  settings,
  tell,
}: {
  readonly settings: Settings;
  readonly tell: (share: number) => void;
}): Promise<Simulated> {
  const faults = planFaults(settings);
  const fleet = planFleet(settings, faults);
  const { endpoints } = fleet;
  const groups = groupsOf({ endpoints, groups: settings.adaptive ? GROUPS_ADAPTIVE : GROUPS });
  const { threads, days, authorizations } = settings;
  const nextGroup = new Int32Array(new SharedArrayBuffer(4));
  const daysDone = new Float64Array(new SharedArrayBuffer(8 * threads));
  const task = { settings, faults, fleet, groups, nextGroup, daysDone };
  const all = authorizations * days;
  const telling = setInterval(() => tell(daysDone.reduce((sum, one) => sum + one, 0) / all), TELL_EVERY_MS);
  try {
    const done = await Promise.all(Array.from({ length: threads }, (_, thread) => startThread({ task, thread })));
    const extent = { minutes: days * MINUTES_PER_DAY, endpoints: endpoints.length, days };
    const figures = createFigures({ ...extent, downtimes: faults.downtimes.length });
    // In their order, so that sums of fractions are the same to the last digit.
    for (const one of done.flat().sort((a, b) => a.group - b.group)) addFigures(figures, one.figures);
    tell(1);
    return { settings, faults, endpoints, figures };
  } finally {
    clearInterval(telling);
  }
}
