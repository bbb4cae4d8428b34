import { nextPullAt, worthOfPull } from '../core/adaptive.ts';
import type { Authorization } from '../core/authorization.ts';
import { adaptiveRangeOf, type CadenceTable, cadenceOf } from '../core/cadence.ts';
import {
  type ChangeProfile,
  type ChangeRates,
  emptyTally,
  flatRates,
  isLearned,
  meanRateOf,
  observe,
  ratesOf,
  type Tally,
} from '../core/change-profile.ts';
import type { Instant } from '../core/clock.ts';
import { codeOf } from '../core/errors.ts';
import { FRESHNESS_LIMITS } from '../core/freshness-limits.ts';
import { NETWORKS, type NetworkName } from '../core/networks.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { ProfileKey } from '../core/ports/freshness.ts';
import type { Store } from '../core/ports/store.ts';
import type { Log } from '../core/ports/telemetry.ts';

/** Whether the records have changed between two pulls. */
type Seen = {
  readonly authorization: Authorization;
  readonly from: Instant;
  readonly to: Instant;
  readonly changed: boolean;
};

/** What one process learns of its endpoints, and plans by. Without what it learned everything runs by the period, so that nothing here may fail a run. */
export type Learner = {
  /** Notes what a pull has seen since the last one. Never rejects. */
  readonly learn: (seen: Seen) => Promise<void>;
  /** When to pull next what was pulled at `pulledAt`; null leaves it to the period. Never rejects. */
  readonly plan: (pulled: {
    readonly authorization: Authorization;
    readonly pulledAt: Instant;
  }) => Promise<Instant | null>;
  /** Writes down what is not written down yet. Never rejects. */
  readonly settle: () => Promise<void>;
};

type Known = { readonly profile: ChangeProfile; readonly rates: ChangeRates };
type Network = { readonly meanPerHour: number; readonly endpoints: Map<string, Known> };
type Networks = Readonly<Record<NetworkName, Network>>;
type Knowing = { readonly networks: () => Promise<Networks> };
type Pending = { readonly key: ProfileKey; tally: Tally | null; writtenAt: number | null };

type Parts = {
  readonly store: Pick<Store, 'learnChanges' | 'changeProfiles'>;
  readonly clock: Pick<Clock, 'now' | 'toWallMs'>;
  readonly cadence: CadenceTable;
  readonly log: Log;
};

/** Learns for one process: what all have learned is read now and then, what it sees itself is added to it. */
export function createLearner(parts: Parts): Learner {
  const { cadence: table, log } = parts;
  const networks = createKnowledge(parts);
  const notebook = createNotebook({ ...parts, networks });
  const orNothing = async <T>(work: () => Promise<T>, nothing: T): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      log.warn('learning_failed', { code: codeOf(error) });
      return nothing;
    }
  };
  return {
    learn: (seen) => orNothing(() => notebook.note(seen), undefined),
    plan: ({ authorization, pulledAt }) =>
      orNothing(async () => {
        const range = adaptiveRangeOf(authorization, table);
        if (range === null) return null;
        const { meanPerHour, endpoints } = (await networks())[authorization.network];
        const endpoint = endpoints.get(nameOf(keyOf(authorization)));
        if (endpoint === undefined || !isLearned(endpoint.profile)) return null;
        const { pullEveryMs, lateAfterMs } = cadenceOf(authorization, table);
        const worth = worthOfPull({ meanPerHour, pullEveryMs });
        const { rates } = endpoint;
        return nextPullAt({ rates, worth, lastPullAt: pulledAt, range, lateAfterMs, phase: authorization.phase }).at;
      }, null),
    settle: () => orNothing(notebook.writeAll, undefined),
  };
}

/** What all processes have learned, as it was read at most {@link FRESHNESS_LIMITS.profilesFreshMs} ago. */
function createKnowledge({ store, clock }: Pick<Parts, 'store' | 'clock'>): () => Promise<Networks> {
  let known: { readonly at: Instant; readonly networks: Promise<Networks> } | null = null;
  return () => {
    const now = clock.now();
    if (known === null || Math.abs(now - known.at) > FRESHNESS_LIMITS.profilesFreshMs) {
      const fresh = { at: now, networks: readNetworks(store) };
      known = fresh;
      // Who asks next asks again.
      fresh.networks.catch(() => {
        if (known === fresh) known = null;
      });
    }
    return known.networks;
  };
}

/** What this process has seen and not written down yet: the first look at an endpoint goes to the store at once, and what follows closely goes together. */
function createNotebook({ store, clock, networks }: Pick<Parts, 'store' | 'clock'> & Knowing) {
  const pages = new Map<string, Pending>();
  const write = async (page: Pending): Promise<void> => {
    const { key, tally } = page;
    if (tally === null) return;
    page.tally = null;
    page.writtenAt = clock.now();
    const profile = await store.learnChanges({ ...key, tally, at: clock.now() }).catch((error: unknown) => {
      page.tally ??= tally;
      page.writtenAt = null;
      throw error;
    });
    const { endpoints, meanPerHour } = (await networks())[key.network];
    endpoints.set(nameOf(key), { profile, rates: ratesOf({ tally: profile, meanPerHour }) });
  };
  const note = async ({ authorization, ...seen }: Seen): Promise<void> => {
    const key = keyOf(authorization);
    const network = (await networks())[key.network];
    const rates = network.endpoints.get(nameOf(key))?.rates ?? flatRates(network.meanPerHour);
    const page = pages.get(fullNameOf(key)) ?? { key, tally: null, writtenAt: null };
    pages.set(fullNameOf(key), page);
    page.tally ??= emptyTally();
    observe({ tally: page.tally, rates, ...seen });
    const { writtenAt } = page;
    const isFresh = writtenAt !== null && clock.toWallMs(clock.now() - writtenAt) < FRESHNESS_LIMITS.learnEveryWallMs;
    if (!isFresh) await write(page);
  };
  const writeAll = async (): Promise<void> => {
    const written = await Promise.allSettled([...pages.values()].map(write));
    for (const one of written) if (one.status === 'rejected') throw one.reason;
  };
  return { note, writeAll };
}

async function readNetworks(store: Pick<Store, 'changeProfiles'>): Promise<Networks> {
  const rows = await store.changeProfiles();
  const networkOf = (name: NetworkName): Network => {
    const own = rows.filter(({ network }) => network === name);
    const meanPerHour = meanRateOf(own.map(({ profile }) => profile));
    const endpoints = own.map(
      ({ profile, ...key }) => [nameOf(key), { profile, rates: ratesOf({ tally: profile, meanPerHour }) }] as const,
    );
    return { meanPerHour, endpoints: new Map(endpoints) };
  };
  const [tefca, cms, onc] = NETWORKS;
  return { [tefca]: networkOf(tefca), [cms]: networkOf(cms), [onc]: networkOf(onc) };
}

function keyOf({ network, source, endpoint }: Authorization): ProfileKey {
  return { network, source, endpointId: endpoint.id };
}

/** A source's name has no space. */
function nameOf({ source, endpointId }: Omit<ProfileKey, 'network'>): string {
  return `${source} ${endpointId}`;
}

function fullNameOf(key: ProfileKey): string {
  return `${key.network} ${nameOf(key)}`;
}
