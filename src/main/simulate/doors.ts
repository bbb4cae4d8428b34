import { enterGate, type GateRules, type GateState, gateRulesOf, leaveGate } from '../../core/gate.ts';
import { LIMITS, UNITS } from '../../core/limits.ts';
import { drawOf, PURPOSES } from './random.ts';
import type { Turn } from './turn.ts';

/** The limits that hold where an operator says nothing, on a clock that runs as it should. */
export const GATE_RULES: GateRules = gateRulesOf({
  limits: { concurrency: LIMITS.gateConcurrency, requestsPerMinute: null, sourceRequestsPerMinute: null },
  toWallMs: (ms) => ms,
});
/** A run with its pages takes a quarter of a second to three quarters. */
const RUN_MIN_MS = UNITS.SECOND_MS / 4;
const RUN_SPREAD_MS = UNITS.SECOND_MS / 2;

/** Asks the endpoint's gate for a place; 0 where the run is in, else after how many milliseconds it comes back. */
export function enter({ group, member, endpoint, now }: Turn): number {
  const { members } = group;
  const holder = String(member);
  const serves = now < (members.accessExpiresAt[member] ?? 0);
  const entrant = {
    holder,
    needs: serves ? 'pages' : 'tokens',
    isFirst: false,
    mayProbe: true,
    rateWaitMs: 0,
  } as const;
  const entered = enterGate({ state: endpoint.gate, rules: GATE_RULES, now, entrant });
  endpoint.gate = entered.state;
  if (entered.decision.kind === 'closed') {
    if (entered.decision.reason !== 'concurrency') members.excused[member] = 1;
    return entered.decision.retryAfterMs;
  }
  endpoint.gate = leavingLater({ state: entered.state, holder, now, random: lengthOf({ group, member }) });
  return 0;
}

function lengthOf({ group: { members, settings }, member }: Pick<Turn, 'group' | 'member'>): number {
  return drawOf(settings.seed, members.index[member] ?? 0, members.wakes[member] ?? 0, PURPOSES.runTakes);
}

/**
 * The run is over in a moment, and nothing else is simulated of it: its place is let go by its end instead of by an event of its own. Its probe, if it
 * was one, answers at once.
 */
function leavingLater({
  state,
  holder,
  now,
  random,
}: {
  readonly state: GateState;
  readonly holder: string;
  readonly now: number;
  readonly random: number;
}): GateState {
  const until = now + RUN_MIN_MS + random * RUN_SPREAD_MS;
  const left = leaveGate({ state, now: until, holder });
  return {
    ...left,
    tokens: state.tokens,
    pages: state.pages,
    holders: { ...state.holders, [holder]: { since: now, until } },
  };
}
