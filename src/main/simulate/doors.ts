import { type Away, enterGate, type GateRules, type GateState, gateRulesOf, leaveGate } from '../../core/gate.ts';
import { LIMITS, UNITS } from '../../core/limits.ts';
import { PURPOSES } from './random.ts';
import { draw, type Turn } from './turn.ts';

/** The limits that hold where an operator says nothing, on a clock that runs as it should. */
export const GATE_RULES: GateRules = gateRulesOf({
  limits: { concurrency: LIMITS.gateConcurrency, requestsPerMinute: null, sourceRequestsPerMinute: null },
  toWallMs: (ms) => ms,
});
/** A run with its pages takes a quarter of a second to three quarters. */
const RUN_MIN_MS = UNITS.SECOND_MS / 4;
const RUN_SPREAD_MS = UNITS.SECOND_MS / 2;

export type Entered =
  | { readonly kind: 'open'; readonly tokensAway: Away | null }
  | { readonly kind: 'closed'; readonly retryAfterMs: number };

/** Asks the endpoint's gate for a place. */
export function enter(turn: Turn): Entered {
  const { group, member, endpoint, now } = turn;
  const holder = String(member);
  const entrant = { holder, needs: 'pages', isFirst: false, mayProbe: true, rateWaitMs: 0 } as const;
  const { state, decision } = enterGate({ state: endpoint.gate, rules: GATE_RULES, now, entrant });
  if (decision.kind === 'closed') {
    endpoint.gate = state;
    // A full endpoint is no fault of the source.
    if (decision.reason !== 'concurrency') group.members.excused[member] = 1;
    return decision;
  }
  const takesMs = RUN_MIN_MS + draw({ group, member, purpose: PURPOSES.runTakes }) * RUN_SPREAD_MS;
  endpoint.gate = leavingLater({ state, holder, now, takesMs });
  return decision;
}

/**
 * The run is over in a moment, and nothing else is simulated of it: its place is let go by its end instead of by an event of its own. Its probe, if it
 * was one, answers at once.
 */
function leavingLater({
  state,
  holder,
  now,
  takesMs,
}: {
  readonly state: GateState;
  readonly holder: string;
  readonly now: number;
  readonly takesMs: number;
}): GateState {
  const until = now + takesMs;
  const left = leaveGate({ state, now: until, holder });
  const holders = { ...left.holders, [holder]: { since: now, until } };
  return { ...left, tokens: state.tokens, pages: state.pages, holders };
}
