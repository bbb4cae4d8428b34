import type { PartState } from '../../core/breaker.ts';
import {
  type Away,
  enterGate,
  FRESH_GATE,
  type GateRules,
  type GateState,
  gateRulesOf,
  type Holder,
} from '../../core/gate.ts';
import { LIMITS, UNITS } from '../../core/limits.ts';
import { PURPOSES } from './random.ts';
import { DELAYS, type Places } from './state.ts';
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

/** A gate at which nothing has happened, that knows how long a run takes. */
export const GATE_AT_START: GateState = { ...FRESH_GATE, serviceMs: RUN_MIN_MS + RUN_SPREAD_MS / 2 };

/** All places free. */
export function createPlaces(): Places {
  const size = GATE_RULES.concurrency;
  return { holder: new Int32Array(size), since: new Float64Array(size), until: new Float64Array(size) };
}

/** Asks the endpoint's gate for a place. */
export function enter({ group, member, endpoint, now }: Pick<Turn, 'group' | 'member' | 'endpoint' | 'now'>): Entered {
  const { gate, places } = endpoint;
  const free = freeOf(places, now);
  const takesMs = RUN_MIN_MS + draw({ group, member, purpose: PURPOSES.runTakes }) * RUN_SPREAD_MS;
  // A gate that is well decides the same for all who find a free place, and nearly all do: asking it once is enough.
  if (free !== NONE && isWell(gate.tokens, now) && isWell(gate.pages, now)) {
    take({ places, place: free, member, now, takesMs });
    return AT_WELL_GATE;
  }
  const entrant = entrantOf(String(member));
  const { state, decision } = enterGate({ state: withHolders(gate, places, now), rules: GATE_RULES, now, entrant });
  endpoint.gate = { ...state, holders: FRESH_GATE.holders };
  if (decision.kind === 'open') {
    take({ places, place: free === NONE ? 0 : free, member, now, takesMs });
    return decision;
  }
  // A full endpoint is no fault of the source.
  const delay = decision.reason === 'concurrency' ? DELAYS.inLine : DELAYS.upstream;
  group.members.delayed[member] = Math.max(group.members.delayed[member] ?? 0, delay);
  return decision;
}

const NONE = -1;
const AT_WELL_GATE: Entered = enterGate({
  state: FRESH_GATE,
  rules: GATE_RULES,
  now: 0,
  entrant: entrantOf(''),
}).decision;

function entrantOf(holder: string) {
  return { holder, needs: 'pages', isFirst: false, mayProbe: true, rateWaitMs: 0 } as const;
}

function freeOf({ until }: Places, now: number): number {
  for (let place = 0; place < until.length; place += 1) if ((until[place] ?? 0) <= now) return place;
  return NONE;
}

function take({
  places,
  place,
  member,
  now,
  takesMs,
}: {
  readonly places: Places;
  readonly place: number;
  readonly member: number;
  readonly now: number;
  readonly takesMs: number;
}): void {
  places.holder[place] = member;
  places.since[place] = now;
  places.until[place] = now + takesMs;
}

function isWell({ throttledUntil, failures, breaker }: PartState, now: number): boolean {
  return breaker === null && failures === 0 && throttledUntil <= now;
}

function withHolders(gate: GateState, { holder, since, until }: Places, now: number): GateState {
  const holders = new Map<string, Holder>();
  for (let place = 0; place < until.length; place += 1) {
    const end = until[place] ?? 0;
    if (end > now) holders.set(String(holder[place]), { since: since[place] ?? 0, until: end });
  }
  return { ...gate, holders };
}
