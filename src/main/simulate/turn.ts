import { nextSlot, phaseOf } from '../../core/cadence.ts';
import type { Away } from '../../core/gate.ts';
import { LIMITS, UNITS } from '../../core/limits.ts';
import { drawOf, PURPOSES } from './random.ts';
import { START } from './settings.ts';
import type { EndpointState, Group } from './state.ts';

const { MINUTE_MS } = UNITS;
/** After the grace the next look of the sweep finds an overdue run. */
export const FOUND_OVERDUE_MS = LIMITS.overdueGraceMs + LIMITS.sweepEveryMs;

/** One authorization at one instant, as the worker that has it sees it. */
export type Turn = {
  readonly group: Group;
  readonly member: number;
  readonly endpoint: EndpointState;
  /** What the instant really is. */
  readonly now: number;
  /** What the worker's clock says. */
  readonly seen: number;
  /** The next slot of the repeating job, by that clock. */
  readonly slot: number;
  /** Where the gate lets the run in and no token should be asked for yet, else null. */
  readonly tokensAway: Away | null;
};

/** Sets the wake of a planned run, unless the queue loses the job; then the sweep finds the overdue run. */
export function wakeAt({ group, member, at }: Pick<Turn, 'group' | 'member'> & { readonly at: number }): void {
  const { members, faults, figures, timeline, settings } = group;
  const lost = faults.lostJobShare > 0 && draw({ group, member, purpose: PURPOSES.lostJob }) < faults.lostJobShare;
  if (!lost) {
    timeline.set(member, at - START);
  } else if (settings.variant.repairs) {
    figures.repaired += 1;
    timeline.set(member, (members.nextRunAt[member] ?? at) + FOUND_OVERDUE_MS - START);
  } else {
    timeline.clear(member);
  }
}

/** A draw of one member that belongs to this wake. */
export function draw({
  group: { members, settings },
  member,
  purpose,
}: Pick<Turn, 'group' | 'member'> & { readonly purpose: number }): number {
  return drawOf(settings.seed, members.index[member] ?? 0, members.wakes[member] ?? 0, purpose);
}

/** The next slot of a member's repeating job. */
export function slotOf({ group: { members }, member, now }: Pick<Turn, 'group' | 'member' | 'now'>): number {
  const periodMs = members.periodMs[member] ?? MINUTE_MS;
  return nextSlot({ now, periodMs, phaseMs: phaseOf({ id: '', periodMs, phase: members.phase[member] ?? 0 }) });
}
