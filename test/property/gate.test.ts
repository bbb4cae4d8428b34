import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type EnterDecision,
  enterGate,
  FRESH_GATE,
  type GateRules,
  type GateState,
  gateRulesOf,
  leaveGate,
  noteAnswer,
  renewHolder,
} from '../../src/core/gate.ts';
import { LIMITS } from '../../src/core/limits.ts';

const RUNS = 500;
const CONCURRENCY = 3;
const RULES: GateRules = gateRulesOf({
  limits: { concurrency: CONCURRENCY, requestsPerMinute: null, sourceRequestsPerMinute: null },
  toWallMs: (ms) => ms,
});

/** What may befall a gate: time passes, runs come, leave, live on or die, and answers arrive. */
type Event =
  | { readonly kind: 'pass'; readonly ms: number }
  | {
      readonly kind: 'enter';
      readonly needs: 'tokens' | 'pages';
      readonly isFirst: boolean;
      readonly mayProbe: boolean;
    }
  | { readonly kind: 'leave' | 'renew'; readonly nth: number }
  | {
      readonly kind: 'note';
      readonly part: 'tokens' | 'pages';
      readonly answer: 'answered' | 'failed' | 'throttled';
      readonly ageMs: number;
    };

const part = fc.constantFrom('tokens' as const, 'pages' as const);
const events: fc.Arbitrary<readonly Event[]> = fc.array(
  fc.oneof(
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.nat({ max: 60_000 }) }) },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('enter' as const),
        needs: part,
        isFirst: fc.boolean(),
        mayProbe: fc.boolean(),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constantFrom('leave' as const, 'renew' as const), nth: fc.nat({ max: 9 }) }),
    },
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('note' as const),
        part,
        // Mostly failures, or no breaker would ever open.
        answer: fc.oneof(
          { weight: 12, arbitrary: fc.constant('failed' as const) },
          { weight: 1, arbitrary: fc.constantFrom('answered' as const, 'throttled' as const) },
        ),
        ageMs: fc.nat({ max: 5_000 }),
      }),
    },
  ),
  // Short stories end before a breaker is half open.
  { minLength: 60, maxLength: 150 },
);

type Enter = typeof enterGate;

/** Lets the events befall a fresh gate. @throws Error at the first promise that does not hold. */
function befall(list: readonly Event[], enter: Enter): { readonly state: GateState; readonly now: number } {
  let [state, now, made] = [FRESH_GATE, 1_000_000, 0];
  const inside = new Map<string, number>();
  const row = { tokens: 0, pages: 0 };
  const living = () => [...inside].filter(([, until]) => until > now).map(([holder]) => holder);
  for (const event of list) {
    if (event.kind === 'pass') now += event.ms;
    if (event.kind === 'enter') {
      made += 1;
      const holder = `h${made}`;
      const before = state;
      const entered = enter({ state, rules: RULES, now, entrant: { ...event, holder, rateWaitMs: 0 } });
      check({ before, ...entered, needs: event.needs, living: living().length, now });
      state = entered.state;
      if (entered.decision.kind === 'open') inside.set(holder, now + LIMITS.gateHolderMs);
    }
    const holder = event.kind === 'leave' || event.kind === 'renew' ? living()[event.nth] : undefined;
    if (event.kind === 'leave' && holder !== undefined) {
      state = leaveGate({ state, now, holder });
      inside.delete(holder);
    }
    if (event.kind === 'renew' && holder !== undefined) {
      state = renewHolder({ state, now, holder });
      inside.set(holder, now + LIMITS.gateHolderMs);
    }
    if (event.kind === 'note') {
      const answer = event.answer === 'throttled' ? { kind: event.answer, waitMs: 30_000 } : { kind: event.answer };
      row[event.part] =
        event.answer === 'failed' ? row[event.part] + 1 : event.answer === 'answered' ? 0 : row[event.part];
      const had = state[event.part].breaker;
      state = noteAnswer({ state, rules: RULES, now, part: event.part, answer, sentAt: now - event.ageMs });
      if (had === null && state[event.part].breaker !== null && row[event.part] < LIMITS.breakerAfterFailures) {
        throw new Error('a breaker opened too early');
      }
    }
  }
  return { state, now };
}

function check({
  before,
  decision,
  needs,
  living,
  now,
}: {
  readonly before: GateState;
  readonly decision: EnterDecision;
  readonly needs: 'tokens' | 'pages';
  readonly living: number;
  readonly now: number;
}): void {
  const { breaker, throttledUntil } = before[needs];
  if (decision.kind === 'open') {
    if (living >= CONCURRENCY) throw new Error('too many are in');
    if (now < throttledUntil) throw new Error('a throttled endpoint was asked');
    if (breaker !== null && now < breaker.until) throw new Error('an open breaker let one in');
    const probe = breaker?.probe ?? null;
    const holds = probe !== null && (before.holders.get(probe)?.until ?? 0) > now;
    if (holds) throw new Error('two probe at once');
    return;
  }
  if (decision.retryAfterMs < LIMITS.gateRetryMinMs || decision.retryAfterMs > LIMITS.retryAfterMaxMs) {
    throw new Error('a wait without measure');
  }
}

describe('the gate of an endpoint, whatever befalls it', () => {
  test('lets in no more than it may, one probe at a time, nobody who was told to wait, and opens no breaker too early', () => {
    fc.assert(
      fc.property(events, (list) => void befall(list, enterGate)),
      { numRuns: RUNS },
    );
  });

  test('lets one in again when nobody is inside and its waits are over', () => {
    fc.assert(
      fc.property(events, fc.boolean(), (list, isTokens) => {
        const { state, now } = befall(list, enterGate);
        const later = now + LIMITS.breakerMaxMs + LIMITS.gateHolderMs;
        const needs = isTokens ? ('tokens' as const) : ('pages' as const);
        const entrant = { holder: 'last', needs, isFirst: false, mayProbe: true, rateWaitMs: 0 };
        expect(enterGate({ state, rules: RULES, now: later, entrant }).decision.kind).toBe('open');
      }),
      { numRuns: RUNS },
    );
  });

  const broken: Readonly<Record<string, Enter>> = {
    'too many are in': (value) => enterGate({ ...value, rules: { ...value.rules, concurrency: CONCURRENCY + 1 } }),
    'two probe at once': (value) => {
      const forget = (side: GateState['pages']) => ({
        ...side,
        breaker: side.breaker === null ? null : { ...side.breaker, probe: null },
      });
      const { tokens, pages } = value.state;
      return enterGate({ ...value, state: { ...value.state, pages: forget(pages), tokens: forget(tokens) } });
    },
    'an open breaker let one in': (value) => enterGate({ ...value, now: value.now + LIMITS.breakerMaxMs }),
  };
  test.each(Object.entries(broken))('control: a broken gate is found: %s', (_fault, enter) => {
    expect(
      fc.check(
        fc.property(events, (list) => void befall(list, enter)),
        { numRuns: 20 * RUNS },
      ).failed,
    ).toBe(true);
  });
});
