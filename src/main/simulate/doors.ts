import type { PartState } from '../../core/breaker.ts';
import {
  type Away,
  enterGate,
  FRESH_GATE,
  type GateRules,
  type GateState,
  gateRulesOf,
  leaveGate,
} from '../../core/gate.ts';
import { LIMITS, UNITS } from '../../core/limits.ts';
import { DELAYS } from './group.ts';
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

/** One run at a gate that nobody is at: it holds the place until then, and becomes part of the gate's state when another one comes meanwhile. */
export type Lone = { holder: number; since: number; until: number };

/** Asks the endpoint's gate for a place. */
export function enter({ group, member, endpoint, now }: Pick<Turn, 'group' | 'member' | 'endpoint' | 'now'>): Entered {
  const { lone } = endpoint;
  const takesMs = RUN_MIN_MS + draw({ group, member, purpose: PURPOSES.runTakes }) * RUN_SPREAD_MS;
  const { gate } = endpoint;
  // The gate decides the same for all who come to it alone, and nearly all do: asking it once is enough.
  if (isWell(gate.tokens, now) && isWell(gate.pages, now) && lone.until <= now && endpoint.busyUntil <= now) {
    lone.holder = member;
    lone.since = now;
    lone.until = now + takesMs;
    return ALONE;
  }
  const holder = String(member);
  const entrant = { holder, needs: 'pages', isFirst: false, mayProbe: true, rateWaitMs: 0 } as const;
  const entered = enterGate({ state: withLone(gate, lone, now), rules: GATE_RULES, now, entrant });
  if (entered.decision.kind === 'closed') {
    endpoint.gate = entered.state;
    // A full endpoint is no fault of the source.
    const delay = entered.decision.reason === 'concurrency' ? DELAYS.inLine : DELAYS.upstream;
    group.members.delayed[member] = Math.max(group.members.delayed[member] ?? 0, delay);
    return entered.decision;
  }
  endpoint.busyUntil = Math.max(endpoint.busyUntil, now + takesMs, lone.until);
  endpoint.gate = leavingLater({ state: entered.state, holder, now, takesMs });
  return entered.decision;
}

const ALONE: Entered = enterGate({
  state: FRESH_GATE,
  rules: GATE_RULES,
  now: 0,
  entrant: { holder: '', needs: 'pages', isFirst: false, mayProbe: true, rateWaitMs: 0 },
}).decision;

function isWell({ throttledUntil, failures, breaker }: PartState, now: number): boolean {
  return breaker === null && failures === 0 && throttledUntil <= now;
}

function withLone(gate: GateState, { holder, since, until }: Lone, now: number): GateState {
  return until <= now ? gate : { ...gate, holders: { ...gate.holders, [holder]: { since, until } } };
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
