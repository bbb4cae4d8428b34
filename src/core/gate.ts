import {
  afterAnswer,
  type BreakerWaits,
  type GateAnswer,
  type GatePart,
  type PartState,
  type Standing,
  standingOf,
  WELL,
  withProbe,
} from './breaker.ts';
import { LIMITS, UNITS } from './limits.ts';

/** What an operator allows us at one endpoint, over all workers; null is without a limit. */
export type EndpointLimits = {
  readonly concurrency: number;
  readonly requestsPerMinute: number | null;
  /** Over all endpoints of the source. */
  readonly sourceRequestsPerMinute: number | null;
};

export type GateRules = EndpointLimits & { readonly breaker: BreakerWaits };

/** The limits with the breaker's waits as they are on a clock, which may run fast. */
export function gateRulesOf({
  limits,
  toWallMs,
}: {
  readonly limits: EndpointLimits;
  readonly toWallMs: (durationMs: number) => number;
}): GateRules {
  const { breakerFirstMs, breakerMaxMs, probeTakesMs } = LIMITS;
  const waits = { firstMs: toWallMs(breakerFirstMs), maxMs: toWallMs(breakerMaxMs), probeMs: toWallMs(probeTakesMs) };
  return { ...limits, breaker: waits };
}

/** A run that is in: since when, and until when its place is its own unless it says that it lives. */
export type Holder = { readonly since: number; readonly until: number };

/** The gate of one endpoint, shared by all workers. Instants and durations of wall time. */
export type GateState = {
  readonly holders: ReadonlyMap<string, Holder>;
  readonly tokens: PartState;
  readonly pages: PartState;
  /** When whoever was turned away last comes back. */
  readonly lineEnd: number;
  /** How long a run takes here, smoothed. */
  readonly serviceMs: number;
};

export const FRESH_GATE: GateState = {
  holders: new Map(),
  tokens: WELL,
  pages: WELL,
  lineEnd: 0,
  serviceMs: LIMITS.gateServiceGuessMs,
};

export type ClosedReason = 'throttled' | 'breaker' | 'concurrency' | 'rate';

export type Away = { readonly reason: 'throttled' | 'breaker'; readonly forMs: number };

export type EnterDecision =
  /** `tokensAway` says that no token should be asked for yet; `isProbe` that this run tries whether the endpoint is back. */
  | { readonly kind: 'open'; readonly tokensAway: Away | null; readonly isProbe: boolean }
  | { readonly kind: 'closed'; readonly reason: ClosedReason; readonly retryAfterMs: number };

/** Who wants in: for which side; `isFirst` goes to the head of the line where the gate is closed; `mayProbe` is false where enough probes are under way. */
export type Entrant = {
  readonly holder: string;
  readonly needs: GatePart;
  readonly isFirst: boolean;
  readonly mayProbe: boolean;
  /** How long the rate is used up; 0 where it is not. */
  readonly rateWaitMs: number;
};

type At = { readonly state: GateState; readonly rules: GateRules; readonly now: number };
type Entered = { readonly state: GateState; readonly decision: EnterDecision };

/** Lets a run in or turns it away, and says when it should come back: each one that is turned away has its own place in a line, so that it comes back about once. */
export function enterGate({ state: before, rules, now, entrant }: At & { readonly entrant: Entrant }): Entered {
  const state = { ...before, holders: living(before.holders, now) };
  const { holder, needs, isFirst, mayProbe, rateWaitMs } = entrant;
  const isThere = (id: string) => state.holders.has(id);
  const waits = rules.breaker;
  const standing = standingOf({ part: state[needs], isThere, waits, now });
  const turnAway = (reason: ClosedReason, from: number) => turnedAway({ state, rules, now, reason, from, isFirst });
  if (standing.kind === 'closed') return turnAway(standing.reason, standing.until);
  if (standing.kind === 'probe' && !mayProbe) return turnAway('breaker', now + waits.probeMs);
  if (state.holders.size >= rules.concurrency) return turnAway('concurrency', now);
  if (rateWaitMs > 0) return turnAway('rate', now + rateWaitMs);
  const tokens = needs === 'tokens' ? standing : standingOf({ part: state.tokens, isThere, waits, now });
  const triesTokens = tokens.kind === 'probe' && mayProbe;
  const holders = withHolder({ state, holder, since: now, now });
  const isProbe = standing.kind === 'probe' || triesTokens;
  return {
    state: {
      ...state,
      holders,
      pages: needs === 'pages' && standing.kind === 'probe' ? withProbe(state.pages, holder) : state.pages,
      tokens: triesTokens ? withProbe(state.tokens, holder) : state.tokens,
    },
    decision: { kind: 'open', isProbe, tokensAway: awayOf({ tokens, triesTokens, waits, now }) },
  };
}

function awayOf({
  tokens,
  triesTokens,
  waits,
  now,
}: {
  readonly tokens: Standing;
  readonly triesTokens: boolean;
  readonly waits: BreakerWaits;
  readonly now: number;
}): Away | null {
  if (tokens.kind === 'closed') return { reason: tokens.reason, forMs: tokens.until - now };
  return tokens.kind === 'probe' && !triesTokens ? { reason: 'breaker', forMs: waits.probeMs } : null;
}

/** The line moves on by what one run takes of the endpoint: its time shared by the places, or its share of the rate. */
function turnedAway({
  state,
  rules,
  now,
  reason,
  from,
  isFirst,
}: At & { readonly reason: ClosedReason; readonly from: number; readonly isFirst: boolean }): Entered {
  const { concurrency, requestsPerMinute, breaker } = rules;
  const stepMs = Math.max(
    state.serviceMs / concurrency,
    requestsPerMinute === null ? 0 : UNITS.MINUTE_MS / requestsPerMinute,
  );
  // Behind a breaker only the first one tries; the others come when it has had its time.
  const behindMs = reason === 'breaker' && state.lineEnd >= from ? breaker.probeMs : 0;
  const inLine = Math.max(state.lineEnd + stepMs, from + behindMs);
  const at = Math.min(isFirst ? from : inLine, now + LIMITS.retryAfterMaxMs);
  const retryAfterMs = Math.max(LIMITS.gateRetryMinMs, Math.ceil(at - now));
  return {
    state: { ...state, lineEnd: isFirst ? state.lineEnd : at },
    decision: { kind: 'closed', reason, retryAfterMs },
  };
}

/** A run has left: its place is free, and what it took tells how long the next ones take. A probe that asked nothing leaves its question to the next. */
export function leaveGate({ state, now, holder }: Omit<At, 'rules'> & { readonly holder: string }): GateState {
  const mine = state.holders.get(holder);
  if (mine === undefined) return state;
  const others = new Map(state.holders);
  others.delete(holder);
  const weight = LIMITS.gateServiceWeight;
  const tookMs = Math.min(Math.max(0, now - mine.since), LIMITS.gateServiceMaxMs);
  const freed = (part: PartState) => (part.breaker?.probe === holder ? withProbe(part, null) : part);
  return {
    ...state,
    holders: others,
    tokens: freed(state.tokens),
    pages: freed(state.pages),
    serviceMs: state.serviceMs * (1 - weight) + tookMs * weight,
  };
}

/** A run says that it lives: its place stays its own. One that was thought dead takes it again. */
export function renewHolder({ state, now, holder }: Omit<At, 'rules'> & { readonly holder: string }): GateState {
  const since = state.holders.get(holder)?.since ?? now;
  return { ...state, holders: withHolder({ state, holder, since, now }) };
}

/** What a request's answer says of the endpoint. `sentAt` is when the request was sent. */
export function noteAnswer({
  state,
  rules,
  now,
  part,
  answer,
  sentAt,
}: At & { readonly part: GatePart; readonly answer: GateAnswer; readonly sentAt: number }): GateState {
  const next = afterAnswer({ part: state[part], answer, sentAt, waits: rules.breaker, now });
  return next === state[part] ? state : { ...state, [part]: next };
}

export type GateCondition = 'open' | 'throttled' | 'breaker_open' | 'half_open';

/** How an endpoint stands, for people: the worse of its two sides. */
export function conditionOf({ state, now }: Omit<At, 'rules'>): GateCondition {
  const of = ({ throttledUntil, breaker }: PartState): GateCondition => {
    if (breaker !== null) return now < breaker.until ? 'breaker_open' : 'half_open';
    return now < throttledUntil ? 'throttled' : 'open';
  };
  const both = [of(state.tokens), of(state.pages)];
  return (['breaker_open', 'half_open', 'throttled'] as const).find((one) => both.includes(one)) ?? 'open';
}

/** How long the state says something: after that it may be forgotten. */
export function keepForMs({ state, now }: Omit<At, 'rules'>): number {
  const ends = [
    state.lineEnd,
    ...[state.tokens, state.pages].flatMap(({ throttledUntil, breaker }) => [throttledUntil, breaker?.until ?? 0]),
    ...[...state.holders.values()].map(({ until }) => until),
  ];
  return Math.max(0, Math.max(...ends) - now) + LIMITS.gateForgetMs;
}

function withHolder({
  state,
  holder,
  since,
  now,
}: Omit<At, 'rules'> & { readonly holder: string; readonly since: number }): GateState['holders'] {
  return new Map(state.holders).set(holder, { since, until: now + LIMITS.gateHolderMs });
}

function living(holders: GateState['holders'], now: number): GateState['holders'] {
  const isDead = [...holders.values()].some(({ until }) => until <= now);
  if (!isDead) return holders;
  return new Map([...holders].filter(([, { until }]) => until > now));
}
