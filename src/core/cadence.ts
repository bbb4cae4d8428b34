import type { AdaptiveRange } from './adaptive.ts';
import type { CadenceOverride } from './authorization.ts';
import type { Instant } from './clock.ts';
import { LIMITS } from './limits.ts';
import { NETWORK_POLICIES, NETWORKS, type NetworkName } from './networks.ts';
import { spreadOf } from './spread.ts';

/** What an operator's cadence file may override, by network and by endpoint id. */
export type CadenceTable = {
  readonly networks: Readonly<Partial<Record<NetworkName, CadenceOverride>>>;
  readonly endpoints: Readonly<Record<string, CadenceOverride>>;
};

export type Cadence = { readonly pullEveryMs: number; readonly lateAfterMs: number };

/** When records count as late, by endpoint and by network: what the store needs to count them all by. */
export type Promises = {
  readonly networks: Readonly<Record<NetworkName, number>>;
  readonly endpoints: Readonly<Record<string, number>>;
};

/** The promises that a table makes; a caller's own stands with its authorization. */
export function promisesOf({ networks, endpoints }: CadenceTable): Promises {
  const ofNetwork = (name: NetworkName) => networks[name]?.lateAfterMs ?? NETWORK_POLICIES[name].lateAfterMs;
  const named = Object.entries(endpoints).flatMap(([id, { lateAfterMs }]) =>
    lateAfterMs === undefined ? [] : [[id, lateAfterMs] as const],
  );
  const [tefca, cms, onc] = NETWORKS;
  return {
    networks: { [tefca]: ofNetwork(tefca), [cms]: ofNetwork(cms), [onc]: ofNetwork(onc) },
    endpoints: Object.fromEntries(named),
  };
}

type Governed = {
  readonly network: NetworkName;
  readonly endpoint: { readonly id: string };
  readonly cadence: CadenceOverride;
};

/** The cadence of one authorization: the network's numbers, overridden by the operator per network, then per endpoint, then by the caller. */
export function cadenceOf(authorization: Governed, table: CadenceTable): Cadence {
  const { pullEveryMs, lateAfterMs } = NETWORK_POLICIES[authorization.network];
  return layersOf(authorization, table).reduce<Cadence>(
    (cadence, layer) => ({
      pullEveryMs: layer?.pullEveryMs ?? cadence.pullEveryMs,
      lateAfterMs: layer?.lateAfterMs ?? cadence.lateAfterMs,
    }),
    { pullEveryMs, lateAfterMs },
  );
}

/**
 * Within what its cadence adapts to its endpoint; null where it does not. Whoever names a period gets that period, unless the same or a later word says `adaptive`: then
 * it is the budget of pulls, and the range is wide enough for it.
 */
export function adaptiveRangeOf(authorization: Governed, table: CadenceTable): AdaptiveRange | null {
  const { adaptive, adaptiveMinMs, adaptiveMaxMs } = NETWORK_POLICIES[authorization.network];
  const isOn = layersOf(authorization, table).reduce<boolean>(
    (before, layer) => layer?.adaptive ?? (layer?.pullEveryMs === undefined && before),
    adaptive,
  );
  const { pullEveryMs } = cadenceOf(authorization, table);
  const range = { minMs: Math.min(adaptiveMinMs, pullEveryMs), maxMs: Math.max(adaptiveMaxMs, pullEveryMs) };
  return isOn && range.minMs < range.maxMs ? range : null;
}

function layersOf(
  { network, endpoint, cadence }: Governed,
  { networks, endpoints }: CadenceTable,
): readonly (CadenceOverride | undefined)[] {
  const ofEndpoint = Object.hasOwn(endpoints, endpoint.id) ? endpoints[endpoint.id] : undefined;
  return [networks[network], ofEndpoint, cadence];
}

/** How long before its end a token of this lifetime is replaced, in milliseconds. */
export function leadMs(lifetimeMs: number): number {
  const share = lifetimeMs * LIMITS.leadShare;
  const wanted = Math.min(LIMITS.leadMaxMs, Math.max(LIMITS.leadMinMs, share));
  return Math.min(wanted, lifetimeMs / 2);
}

/**
 * The period of the repeating job: `min(pull every, access-token lifetime - lead)`, so that a valid access token always exists
 * (design, section 8); and a day at most, so that no refresh token dies of idleness. A whole number of {@link LIMITS.periodGrainMs}; rounding down keeps the promise, within the slack of a second or two.
 */
export function periodOf({
  cadence,
  accessLifetimeMs,
  refreshLifetimeMs = null,
}: {
  readonly cadence: Cadence;
  readonly accessLifetimeMs: number;
  /** How long the refresh token lives, where it is known: some end before their access token does. */
  readonly refreshLifetimeMs?: number | null;
}): number {
  // A refresh token that is missed once is lost with its patient's consent: two runs fit into its life.
  const refreshEveryMs = refreshLifetimeMs === null ? Number.POSITIVE_INFINITY : refreshLifetimeMs / 2;
  const usefulMs = accessLifetimeMs - leadMs(accessLifetimeMs) + LIMITS.lifetimeSlackMs;
  const lifetime = Math.min(usefulMs, refreshEveryMs);
  const wanted = Math.min(cadence.pullEveryMs, lifetime, LIMITS.runEveryMaxMs);
  const whole = Math.floor(wanted / LIMITS.periodGrainMs) * LIMITS.periodGrainMs;
  return Math.min(LIMITS.periodMaxMs, Math.max(LIMITS.periodMinMs, whole));
}

/** Where in its period an authorization runs, in milliseconds: its stored phase, or the hash of its id where none is stored. A re-deploy moves nobody. */
export function phaseOf({
  id,
  periodMs,
  phase = spreadOf(id),
}: {
  readonly id: string;
  readonly periodMs: number;
  readonly phase?: number;
}): number {
  return Math.floor(phase * periodMs);
}

/** The first slot of `{ period, phase }` strictly after `now`; the same arithmetic as BullMQ's `every` with `offset`. */
export function nextSlot({
  now,
  periodMs,
  phaseMs,
}: {
  readonly now: Instant;
  readonly periodMs: number;
  readonly phaseMs: number;
}): Instant {
  const slot = Math.floor(now / periodMs) * periodMs + phaseMs;
  return slot > now ? slot : slot + periodMs;
}

/** The wait before try number `failures + 1`: doubled each time, capped, and spread by 0.5 to 1.5 with `random` in [0, 1). */
export function backoffMs({ failures, random }: { readonly failures: number; readonly random: number }): number {
  const doubled = LIMITS.retryFirstMs * 2 ** Math.min(failures, 20);
  return Math.round(Math.min(LIMITS.retryMaxMs, doubled) * (0.5 + random));
}
