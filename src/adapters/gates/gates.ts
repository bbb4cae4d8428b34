import {
  conditionOf,
  type EndpointLimits,
  enterGate,
  type GateCondition,
  type GateState,
  gateRulesOf,
  leaveGate,
  noteAnswer,
  renewHolder,
} from '../../core/gate.ts';
import { LIMITS } from '../../core/limits.ts';
import type { Clock, Entropy } from '../../core/ports/clock.ts';
import type { GateName, Gates } from '../../core/ports/gates.ts';
import type { Log } from '../../core/ports/telemetry.ts';
import { withFallback } from './fallback.ts';
import { createRates } from './rates.ts';
import { createRedisStates, type GateRedis } from './redis-states.ts';
import { createMemoryStates, createRecent, type GateStates, type Recent } from './states.ts';

/** How often runs say that they live: three times within {@link LIMITS.gateHolderMs}. */
const RENEW_EVERY_MS = LIMITS.gateHolderMs / 3;

const NAME = /^[\w.-]{1,64}$/;

type Act<T> = (value: { readonly state: GateState; readonly now: number }) => {
  readonly state: GateState;
  readonly value: T;
};
type Changer = <T>(name: GateName, act: Act<T>) => Promise<T>;

/** The gates of all endpoints, in Redis for all workers or in this process; with Redis away each process goes by what it sees itself. */
export function createGates({ redis, prefix, limitsOf, probesMax, clock, entropy, log }: GateParts): Gates {
  const own = createMemoryStates();
  const shared = redis === null ? null : createRedisStates({ redis, prefix, now: clock.wallNow });
  const states = shared === null ? own : withFallback({ shared, own, now: clock.wallNow, log });
  const known = createRecent<GateState>();
  const change = createChanger({ states, known, now: clock.wallNow, log });
  const rates = createRates({ redis, prefix });
  const rulesOf = (source: string) => gateRulesOf({ limits: limitsOf(source), toWallMs: clock.toWallMs });
  const inside = new Map<string, GateName>();
  const probes = new Set<string>();
  const renewing = setInterval(() => {
    for (const [holder, name] of inside) {
      void change(name, ({ state, now }) => ({ state: renewHolder({ state, now, holder }), value: null }));
    }
  }, RENEW_EVERY_MS);
  renewing.unref();
  const leave = async (holder: string, name: GateName): Promise<void> => {
    inside.delete(holder);
    probes.delete(holder);
    await change(name, ({ state, now }) => ({ state: leaveGate({ state, now, holder }), value: null }));
  };
  return {
    enter: async ({ source, endpointId, needs, isFirst }) => {
      const name = { source, endpointId };
      const rules = rulesOf(source);
      const holder = entropy.id();
      const rateWaitMs = await eachRate({ name, limits: rules, ask: rates.look });
      const decision = await change(name, ({ state, now }) => {
        const entrant = { holder, needs, isFirst, rateWaitMs, mayProbe: probes.size < probesMax };
        const entered = enterGate({ state, rules, now, entrant });
        return { state: entered.state, value: entered.decision };
      });
      if (decision.kind === 'closed') return decision;
      inside.set(holder, name);
      if (decision.isProbe) probes.add(holder);
      return { kind: 'open', tokensAway: decision.tokensAway, leave: () => leave(holder, name) };
    },
    spend: (name) => eachRate({ name, limits: limitsOf(name.source), ask: rates.spend }),
    note: async ({ source, endpointId, part, answer, sentAt }) => {
      const rules = rulesOf(source);
      await change({ source, endpointId }, ({ state, now }) => {
        return { state: noteAnswer({ state, rules, now, part, answer, sentAt }), value: null };
      });
    },
    states: () => countsOf({ known, now: clock.wallNow() }),
    close: async () => clearInterval(renewing),
  };
}

type GateParts = {
  /** Null keeps the gates in this process. Whoever opened the connection closes it. */
  readonly redis: GateRedis | null;
  readonly prefix: string;
  readonly limitsOf: (source: string) => EndpointLimits;
  /** Probes of this process at once. */
  readonly probesMax: number;
  readonly clock: Pick<Clock, 'wallNow' | 'toWallMs'>;
  readonly entropy: Pick<Entropy, 'id'>;
  readonly log: Log;
};

/** The endpoint's own rate, and its source's: the longer wait of both. What one of them gave is gone where the other refuses. */
async function eachRate({
  name: { source, endpointId },
  limits: { requestsPerMinute, sourceRequestsPerMinute },
  ask,
}: {
  readonly name: GateName;
  readonly limits: EndpointLimits;
  readonly ask: (key: string, perMinute: number) => Promise<number>;
}): Promise<number> {
  const ofEndpoint = requestsPerMinute === null ? 0 : await ask(`${source}/${endpointId}`, requestsPerMinute);
  if (ofEndpoint > 0 || sourceRequestsPerMinute === null) return ofEndpoint;
  return ask(source, sourceRequestsPerMinute);
}

/** Changes a gate, and tells the log once where it stands otherwise afterwards: whoever made the change tells it. */
function createChanger({
  states,
  known,
  now: wallNow,
  log,
}: {
  readonly states: GateStates;
  readonly known: Recent<GateState>;
  readonly now: () => number;
  readonly log: Log;
}): Changer {
  return async ({ source, endpointId }, act) => {
    const key = `${source}/${endpointId}`;
    const changed = await states.change(key, (before) => {
      const now = wallNow();
      const { state, value } = act({ state: before, now });
      const from = conditionOf({ state: before, now });
      return { state, value: { value, state, from, to: conditionOf({ state, now }) } };
    });
    known.set(key, changed.state);
    // A caller may call its endpoint anything.
    const named = NAME.test(endpointId) ? endpointId : 'other';
    if (changed.from !== changed.to) log.warn('gate_changed', { source, endpointId: named, state: changed.to });
    return changed.value;
  };
}

function countsOf({
  known,
  now,
}: {
  readonly known: Recent<GateState>;
  readonly now: number;
}): Readonly<Record<GateCondition, number>> {
  const counts: Record<GateCondition, number> = { open: 0, throttled: 0, breaker_open: 0, half_open: 0 };
  for (const state of known.values()) counts[conditionOf({ state, now })] += 1;
  return counts;
}
