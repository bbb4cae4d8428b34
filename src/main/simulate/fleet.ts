import { UNITS } from '../../core/limits.ts';
import { NETWORKS, type NetworkName } from '../../core/networks.ts';
import { choosePhase, phaseBucketOf, phaseCandidates } from '../../core/phase.ts';
import { type FaultPlan, importOf } from './faults.ts';
import type { Settings } from './settings.ts';

const { HOUR_MS, DAY_MS } = UNITS;

export type EndpointPlan = {
  readonly id: string;
  readonly network: NetworkName;
  readonly members: number;
  readonly accessLifetimeMs: number;
  readonly refreshLifetimeMs: number;
  /** HTTP requests of one pull. */
  readonly requestsPerPull: number;
};

/** The fleet as it is before anything happens; flat arrays by authorization, shared with the threads. */
export type Fleet = {
  readonly endpoints: readonly EndpointPlan[];
  readonly endpointOf: Uint16Array<SharedArrayBuffer>;
  readonly phases: Float64Array<SharedArrayBuffer>;
  /** Milliseconds since the start; negative for those that were there before. */
  readonly acceptedAt: Float64Array<SharedArrayBuffer>;
};

/** A payer answers for many patients and most for few: sizes fall with the rank like this. */
const RANK_POWER = 0.9;
/** One endpoint in ten gives access tokens of a month; its runs keep refresh tokens alive that would lie idle. */
const LONG_LIVED_EVERY = 10;
/** As many as a pull asks for that reads type by type. */
const REQUESTS_PER_PULL = 12;

/** Makes the endpoints and gives every authorization its endpoint, its acceptance and, by the product's own choice, its phase. */
export function planFleet(settings: Settings, faults: FaultPlan): Fleet {
  const endpoints = planEndpoints(settings);
  const { authorizations } = settings;
  const endpointOf = new Uint16Array(new SharedArrayBuffer(authorizations * 2));
  const acceptedAt = new Float64Array(new SharedArrayBuffer(authorizations * 8)).fill(-1);
  let first = 0;
  for (const [at, { members }] of endpoints.entries()) {
    endpointOf.fill(at, first, first + members);
    first += members;
  }
  const bulk = importOf({ settings, faults });
  for (let added = 0; bulk !== null && added < bulk.size; added += 1) {
    // Taken from all over the fleet, so that they come to all endpoints.
    const index = Math.floor((added * authorizations) / bulk.size);
    acceptedAt[index] = bulk.at + added * bulk.eachMs;
  }
  return { endpoints, endpointOf, acceptedAt, phases: placed({ settings, endpoints, endpointOf, acceptedAt }) };
}

/** Sizes by rank; each endpoint goes to the network that lacks most of its share. */
function planEndpoints({ authorizations, endpoints, networks }: Settings): readonly EndpointPlan[] {
  const weights = Array.from({ length: endpoints }, (_, rank) => (rank + 1) ** -RANK_POWER);
  const all = weights.reduce((sum, weight) => sum + weight, 0);
  const shares = NETWORKS.reduce((sum, network) => sum + networks[network], 0);
  const lacking = new Map(NETWORKS.map((network) => [network, (authorizations * networks[network]) / shares]));
  let left = authorizations;
  return weights.map((weight, rank) => {
    const members = rank === endpoints - 1 ? left : Math.min(left, Math.round((authorizations * weight) / all));
    left -= members;
    const network = [...lacking].reduce((most, one) => (one[1] > most[1] ? one : most))[0];
    lacking.set(network, (lacking.get(network) ?? 0) - members);
    const accessLifetimeMs = rank % LONG_LIVED_EVERY === LONG_LIVED_EVERY - 1 ? 30 * DAY_MS : 24 * HOUR_MS;
    return {
      id: `endpoint-${rank + 1}`,
      network,
      members,
      accessLifetimeMs,
      refreshLifetimeMs: 90 * DAY_MS,
      requestsPerPull: REQUESTS_PER_PULL,
    };
  });
}

/** As at acceptance: of two hashed places the emptier, counted in the order in which they were accepted. */
function placed({
  settings: { authorizations, seed, variant },
  endpoints,
  endpointOf,
  acceptedAt,
}: Omit<Fleet, 'phases'> & { readonly settings: Settings }): Fleet['phases'] {
  const phases = new Float64Array(new SharedArrayBuffer(authorizations * 8));
  if (!variant.phases) return phases;
  const loads = new Map<NetworkName, Map<number, number>>(NETWORKS.map((network) => [network, new Map()]));
  const place = (index: number): void => {
    const network = endpoints[endpointOf[index] ?? 0]?.network ?? 'ONC_G10';
    const counted = loads.get(network) ?? new Map<number, number>();
    const phase = choosePhase({ candidates: phaseCandidates(`${seed}-${index}`), loads: counted });
    counted.set(phaseBucketOf(phase), (counted.get(phaseBucketOf(phase)) ?? 0) + 1);
    phases[index] = phase;
  };
  const late: number[] = [];
  for (let index = 0; index < authorizations; index += 1) {
    if ((acceptedAt[index] ?? 0) < 0) place(index);
    else late.push(index);
  }
  for (const index of late) place(index);
  return phases;
}

/** Endpoints in groups of about as many authorizations each; groups share nothing, so any number of threads gives the same figures. */
export function groupsOf({
  endpoints,
  groups,
}: {
  readonly endpoints: readonly EndpointPlan[];
  readonly groups: number;
}) {
  const made = Array.from({ length: groups }, () => ({ members: 0, endpoints: [] as number[] }));
  const bySize = [...endpoints.keys()].sort((a, b) => (endpoints[b]?.members ?? 0) - (endpoints[a]?.members ?? 0));
  for (const endpoint of bySize) {
    const emptiest = made.reduce((least, one) => (one.members < least.members ? one : least));
    emptiest.endpoints.push(endpoint);
    emptiest.members += endpoints[endpoint]?.members ?? 0;
  }
  return made.filter(({ members }) => members > 0).map(({ endpoints: one }) => one.sort((a, b) => a - b));
}
