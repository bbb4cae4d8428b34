import { nextPullAt, worthOfPull } from '../../core/adaptive.ts';
import { adaptiveRangeOf } from '../../core/cadence.ts';
import { emptyTally, flatRates, isLearned, meanRateOf, observe, ratesOf, remember } from '../../core/change-profile.ts';
import type { AdaptivePlan } from '../../core/decide-pull.ts';
import { NETWORKS } from '../../core/networks.ts';
import type { EndpointState, Group, Learned } from './state.ts';
import type { Turn } from './turn.ts';

/** Nothing is known yet. */
export function nothingLearned(
  { network, id }: Pick<EndpointState, 'network' | 'id'>,
  group: Pick<Group, 'settings'>,
): Learned {
  const { adaptive, cadence } = group.settings;
  const range = adaptive ? adaptiveRangeOf({ network, endpoint: { id }, cadence: {} }, cadence) : null;
  const meanPerHour = meanRateOf([]);
  return { range, tally: emptyTally(), profile: null, rates: flatRates(meanPerHour), meanPerHour };
}

/** What an adaptive cadence learns of a pull. */
export function learn({
  endpoint,
  from,
  to,
  changed,
}: {
  readonly endpoint: EndpointState;
  readonly from: number;
  readonly to: number;
  readonly changed: boolean;
}): void {
  const { learned } = endpoint;
  if (learned.range !== null) observe({ tally: learned.tally, rates: learned.rates, from, to, changed });
}

/** Adds what pulls have seen to the profiles, and plans by those from now on; as each worker does it now and then. */
export function settleLearned({ endpoints }: Group, now: number): void {
  for (const network of NETWORKS) {
    const own = endpoints.filter((one) => one?.network === network && one.learned.range !== null);
    const states = own.flatMap((one) => (one === undefined ? [] : [one.learned]));
    for (const state of states) {
      state.profile = remember({ profile: state.profile, tally: state.tally, at: now });
      state.tally = emptyTally();
    }
    const meanPerHour = meanRateOf(states.flatMap(({ profile }) => (profile === null ? [] : [profile])));
    for (const state of states) {
      state.meanPerHour = meanPerHour;
      if (state.profile !== null) state.rates = ratesOf({ tally: state.profile, meanPerHour });
    }
  }
}

/** When an adaptive cadence wants to pull next what was pulled at `pulledAt`; null leaves it to the period. */
export function plannedPull({ group, member, endpoint }: Turn, pulledAt: number): number | null {
  const { range, profile, rates, meanPerHour } = endpoint.learned;
  if (range === null || profile === null || !isLearned(profile)) return null;
  const { pullEveryMs, lateAfterMs } = endpoint.cadence;
  const worth = worthOfPull({ meanPerHour, pullEveryMs });
  const phase = group.members.phase[member] ?? 0;
  return nextPullAt({ rates, worth, lastPullAt: pulledAt, range, lateAfterMs, phase }).at;
}

/** The plan for the next pull, where its cadence adapts. */
export function adaptivePlanOf({ group, member, endpoint }: Turn): AdaptivePlan | null {
  const at = group.members.nextPullAt[member] ?? Number.NaN;
  const { range } = endpoint.learned;
  return range === null || Number.isNaN(at) ? null : { nextPullAt: at, minMs: range.minMs };
}
