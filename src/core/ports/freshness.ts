import type { Promises } from '../cadence.ts';
import type { ChangeProfile, Tally } from '../change-profile.ts';
import type { Instant } from '../clock.ts';
import type { NetworkName } from '../networks.ts';

/** Whose changes are counted together: all patients of one endpoint. */
export type ProfileKey = { readonly network: NetworkName; readonly source: string; readonly endpointId: string };

/** What a webhook may mean by an authorization: its id with us, or hashes of what the source calls it. */
export type ToldOf = { readonly source: string; readonly id: string | null; readonly refs: readonly string[] };

/** How old the records of a network's standing authorizations are; counted from acceptance where nothing was pulled yet. */
export type NetworkFreshness = {
  readonly network: NetworkName;
  readonly authorizations: number;
  /** How many are older than they may be. */
  readonly late: number;
  readonly ageMs: { readonly p50: number; readonly p90: number; readonly p99: number; readonly max: number };
};

/** The part of the store that knows when endpoints change, and who was told of it. */
export type FreshnessStore = {
  /** Adds what pulls have seen of an endpoint, in one step beside other workers that do the same; gives what is known then. */
  readonly learnChanges: (
    value: ProfileKey & { readonly tally: Tally; readonly at: Instant },
  ) => Promise<ChangeProfile>;
  readonly changeProfiles: () => Promise<readonly (ProfileKey & { readonly profile: ChangeProfile })[]>;
  /** Forgets the profiles that nobody has added to since `before`: after the last purge of an endpoint nothing tells of its patients' hours. Says how many. */
  readonly forgetProfiles: (query: { readonly before: Instant }) => Promise<number>;
  /** As of when the stalest records are that a standing authorization keeps; null when there are none. */
  readonly oldestFreshAsOf: () => Promise<Instant | null>;
  /** Looks at every standing authorization: some seconds of a million, so not for each who asks. */
  readonly freshness: (query: {
    readonly now: Instant;
    readonly promises: Promises;
  }) => Promise<readonly NetworkFreshness[]>;
  /**
   * Takes a delivery if it is the first of its event; null for one that was taken before, within {@link FRESHNESS_LIMITS.hooksSeenForMs}. Of news the authorizations that it
   * means are noted as told at `at` and planned for then, of a doubt as doubted too, in the same transaction; gives the ids of those that are active,
   * {@link FRESHNESS_LIMITS.hookMeansMax} at most.
   */
  readonly takeHook: (
    value: ToldOf & { readonly eventId: string; readonly at: Instant; readonly tells: 'news' | 'doubt' | null },
  ) => Promise<readonly string[] | null>;
  /** Notes that somebody wants everything of an active MULTIPLE authorization read, and plans it for then: a run that is under way and has pulled before comes again. */
  readonly askForPull: (value: { readonly authorizationId: string; readonly at: Instant }) => Promise<void>;
  /** Whether it is still planned for `at` or before and nobody holds its lease: no run that is under way has taken that up. */
  readonly awaitsRun: (query: { readonly authorizationId: string; readonly at: Instant }) => Promise<boolean>;
};
