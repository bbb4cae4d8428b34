import type { Authorization, State, StateReason } from '../authorization.ts';
import type { Instant } from '../clock.ts';
import type { NetworkName } from '../networks.ts';
import type { AuditStore, Receipt } from './audit.ts';
import type { FeedStore } from './feed.ts';
import type { CommitResult, Fence, Taken } from './fence.ts';
import type { FleetStore } from './fleet.ts';
import type { FreshnessStore } from './freshness.ts';
import type { PreviewStore } from './preview.ts';
import type { Swept } from './queue.ts';
import type { Intent, SealedTokens } from './tokens.ts';

export type { AuditEntry, Receipt } from './audit.ts';
export type { CommitResult, Fence, Standing, Taken } from './fence.ts';
export type { Intent, SealedTokens } from './tokens.ts';

export type NewAuthorization = {
  readonly authorization: Authorization;
  /** Keyed hash of the whole request, to tell a repetition from a conflict. */
  readonly fingerprint: string;
  /** Of its data key: what the receipt names when the key is gone. */
  readonly keyFingerprint: string;
  readonly tokens: SealedTokens;
};

/** What a flow may change about an authorization; what is left out stays. */
export type AuthorizationPatch = Partial<
  Pick<
    Authorization,
    | 'usage'
    | 'usageReason'
    | 'state'
    | 'stateReason'
    | 'endpoint'
    | 'acceptedAt'
    | 'authorizedAt'
    | 'ends'
    | 'nextWarningAt'
    | 'trouble'
    | 'periodMs'
    | 'phase'
    | 'nextRunAt'
    | 'nextPullAt'
    | 'upstreamRef'
    | 'purgeDueAt'
    | 'purgeReason'
    | 'purgedAt'
    | 'atEnd'
    | 'upstreamEnd'
    | 'fetchedAt'
    | 'lastPull'
    | 'freshAsOf'
    | 'failedRuns'
    | 'lastError'
  >
>;

/** What a plan for the next run was made of, and what a holder's own refresh or a webhook may have changed meanwhile. */
export type AsOf = Pick<Authorization, 'periodMs' | 'toldAt'>;

/** A run's plan for the next one, made of what was known: its holder's last write, which gives the lease back. */
export type Plan = {
  readonly patch: AuthorizationPatch;
  readonly asOf: AsOf;
  readonly release: { readonly owner: string };
};

export type SealedManifest = { readonly key: string; readonly sealed: Uint8Array };
export type SealedPack = { readonly id: string; readonly sealed: Uint8Array };
export type SealedChange = { readonly cursor: number; readonly at: Instant; readonly sealed: Uint8Array };

/** What a pull leaves behind at a checkpoint, or at its end, in one transaction. */
export type RecordsCommit = Fence & {
  readonly packs: readonly SealedPack[];
  /** Packs of which nothing is alive any more. */
  readonly droppedPacks: readonly string[];
  readonly manifests: readonly SealedManifest[];
  readonly changes: readonly { readonly at: Instant; readonly sealed: Uint8Array }[];
  readonly journal: {
    readonly state: Uint8Array;
    /** What was taken since the last checkpoint, if there is a journal to go on with. */
    readonly page: Uint8Array | null;
    /** The pull is over: its pages go. */
    readonly ended: boolean;
  };
};

/** From deadline to receipt, in domain milliseconds; null where there was no purge. */
export type PurgeLag = {
  readonly purged: number;
  readonly lastPurgedAt: Instant | null;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  /** The earliest deadline that has passed without a receipt. */
  readonly oldestDueAt: Instant | null;
};

/** The truth. Leases run on the store's own clock, so that workers with wrong clocks agree; all else is domain time. */
export type Store = {
  readonly ping: () => Promise<void>;
  readonly close: () => Promise<void>;
  /** The store's own clock, wall milliseconds: what a worker asks before it ends something because of its own. */
  readonly wallNow: () => Promise<number>;

  /** Writes the authorization with its tokens and deadline in one transaction, unless its id is taken. */
  readonly insert: (value: NewAuthorization & { readonly actor: string }) => Promise<'inserted' | 'exists'>;
  readonly get: (authorizationId: string) => Promise<Authorization | null>;
  /** How many standing authorizations of a network lie in these parts of their period (core/phase.ts); counted up to {@link LIMITS.phaseLoadMax}. */
  readonly phaseLoads: (query: {
    readonly network: NetworkName;
    readonly buckets: readonly number[];
  }) => Promise<ReadonlyMap<number, number>>;
  /** The fingerprints of the requests accepted under this id: the current one, and those of earlier consents. */
  readonly fingerprintsOf: (
    authorizationId: string,
  ) => Promise<{ readonly current: string | null; readonly earlier: readonly string[] }>;
  readonly list: (page: {
    readonly after: string | null;
    readonly limit: number;
    readonly state?: State;
  }) => Promise<readonly Authorization[]>;
  readonly countByState: () => Promise<Readonly<Record<State, number>>>;
  /**
   * Fenced. A patch that moves the state writes its audit entry in the same transaction, and its event where there is one:
   * `needs_reauthorization`, `repaired`, `refresh_unsure`, `refresh_sure_again`. With `release` it is its holder's last write: the lease is given back with it.
   */
  readonly update: (
    value: Fence & {
      readonly patch: AuthorizationPatch;
      readonly actor: string;
      readonly release?: { readonly owner: string };
    },
  ) => Promise<CommitResult>;

  /** As {@link Store.update}; where the authorization is not as it was known any more, nothing is written. */
  readonly updateAsOf: (
    value: Parameters<Store['update']>[0] & { readonly asOf: AsOf },
  ) => Promise<CommitResult | 'changed'>;

  /** Takes the lease if nobody holds a live one, and reads what stands behind it; the fence grows with every taking. Wall milliseconds. */
  readonly takeLease: (lease: {
    readonly authorizationId: string;
    readonly owner: string;
    readonly leaseMs: number;
  }) => Promise<Taken | null>;
  /** Takes it whoever holds it: a purge wins over everything in flight. */
  readonly seizeLease: (lease: {
    readonly authorizationId: string;
    readonly owner: string;
    readonly leaseMs: number;
  }) => Promise<Taken>;
  readonly renewLease: (lease: Fence & { readonly owner: string; readonly leaseMs: number }) => Promise<boolean>;
  /** Given back in good order. `crashes` is what stays on its account, none if it is left out. */
  readonly releaseLease: (lease: Fence & { readonly owner: string; readonly crashes?: number }) => Promise<void>;

  readonly tokens: (authorizationId: string) => Promise<SealedTokens | null>;
  readonly intent: (authorizationId: string) => Promise<Intent | null>;
  /** Fenced. Durable when it resolves; an intent that is there already is replaced. */
  readonly openIntent: (
    value: Fence & {
      readonly intent: Intent;
      /** Renewed in the same transaction, so that a whole lease lies before the request that follows. */
      readonly lease: { readonly owner: string; readonly leaseMs: number };
    },
  ) => Promise<CommitResult>;
  /** Fenced. The attempt ended without a verdict: the intent stays, parked, and `unsure` where the token may have been spent. */
  readonly parkIntent: (
    value: Fence & { readonly attemptId: string; readonly unsure: boolean; readonly unclearSince: Instant | null },
  ) => Promise<CommitResult>;
  readonly closeIntent: (value: Fence) => Promise<CommitResult>;
  /**
   * Fenced, and a compare-and-set on the token version: the new pair, the closed intent and the patch, or nothing. `plan` goes with it (`planned`) where the
   * authorization is still as it was known; elsewhere the rest is committed without it.
   */
  readonly commitTokens: (
    value: Fence & {
      readonly expectedVersion: number;
      readonly tokens: SealedTokens;
      readonly patch: AuthorizationPatch;
      readonly actor: string;
      readonly plan?: Plan;
    },
  ) => Promise<CommitResult | 'planned'>;

  /**
   * Fenced, and a compare-and-set on the token version: the tokens of a new consent take the place of the old ones, the intent and the trouble of the
   * old ones end, the fingerprint of the request becomes the current one and the old one is remembered.
   */
  readonly reauthorize: (
    value: Fence & {
      readonly expectedVersion: number;
      readonly tokens: SealedTokens;
      readonly patch: AuthorizationPatch;
      readonly fingerprint: string;
      readonly actor: string;
    },
  ) => Promise<CommitResult>;

  readonly manifests: (authorizationId: string) => Promise<readonly SealedManifest[]>;
  /** The manifests and the cursor of the newest change in them (0 before the first), of one instant: what follows that cursor is all that they lack. */
  readonly recordsNow: (
    authorizationId: string,
  ) => Promise<{ readonly manifests: readonly SealedManifest[]; readonly cursor: number }>;
  readonly pack: (pack: { readonly authorizationId: string; readonly id: string }) => Promise<Uint8Array | null>;
  /** The sealed state of an authorization's pulls, and the checkpoints of one that has not ended, in their order. */
  readonly pullJournal: (
    authorizationId: string,
  ) => Promise<{ readonly state: Uint8Array | null; readonly pages: readonly Uint8Array[] }>;
  readonly commitRecords: (value: RecordsCommit) => Promise<CommitResult>;
  readonly changes: (page: {
    readonly authorizationId: string;
    readonly after: number;
    readonly limit: number;
  }) => Promise<readonly SealedChange[]>;

  /** Authorizations whose purge is due or was begun and not ended. */
  readonly duePurges: (query: { readonly now: Instant; readonly limit: number }) => Promise<readonly string[]>;
  /** Open intents that are not parked and whose lease nobody alive holds: what a crash left behind. */
  readonly orphanIntents: (query: { readonly limit: number }) => Promise<readonly string[]>;
  /** Authorizations whose next run should have happened before `before`, with what the queue needs to repair it. */
  readonly overdueRuns: (query: {
    readonly before: Instant;
    readonly limit: number;
  }) => Promise<readonly Authorization[]>;
  /** Fenced. Deletes all rows but the authorization's own, which keeps no health data; says how many over all tries, and what {@link Store.noteSwept} has noted. */
  readonly deleteRows: (value: Fence) => Promise<Receipt['deleted'] | 'superseded'>;
  /** Fenced. Adds to what the queues gave up of it and gives the sum of all tries; what a try gave up that died before it came here is not in it. */
  readonly noteSwept: (value: Fence & Swept) => Promise<Swept | 'superseded'>;
  /** How many rows still hold its tokens and its records, as a verifier counts who does not ask who deleted them. */
  readonly leftOf: (authorizationId: string) => Promise<{ readonly tokens: number; readonly records: number }>;
  /** How late purges were of which the receipt was written since `since`, and what is due and not purged now. */
  readonly purgeLag: (query: { readonly now: Instant; readonly since: Instant }) => Promise<PurgeLag>;
  /** Lets the database use the room of deleted rows again, and overwrite it in time. Best effort; never in a transaction. */
  readonly reclaim: () => Promise<void>;
  /** Fenced. The state, the receipt with the fingerprint of the destroyed key, and the audit entry, or nothing. */
  readonly finishPurge: (
    value: Fence & { readonly receipt: Omit<Receipt, 'keyFingerprint'>; readonly actor: string },
  ) => Promise<CommitResult>;
} & AuditStore &
  FeedStore &
  FreshnessStore &
  FleetStore &
  PreviewStore;

/** The state and reason an authorization moves to, for patches that say both. */
export function moveTo(state: State, stateReason: StateReason): Pick<AuthorizationPatch, 'state' | 'stateReason'> {
  return { state, stateReason };
}
