import type { Instant } from './clock.ts';
import { LIMITS } from './limits.ts';

/** How the last reading of one resource type ended. Only a complete one may imply removals. */
export type TypeResult = 'complete' | 'partial' | 'refused';

/** Removals that a complete pull implies and that are too many to be believed at once (peers, c10). */
export type Suspects = { readonly ids: readonly string[]; readonly since: Instant };

/** What is known of one resource type of one authorization. */
export type TypeState = {
  readonly result: TypeResult;
  /** When the last pull began that read all of the type to its end. */
  readonly fullAt: Instant | null;
  /** Up to when its changes are known: the watermark of the next incremental pull. */
  readonly knownUntil: Instant | null;
  readonly suspects: Suspects | null;
};

/** One request of a pull's plan: a type or, with null, all types together; from the beginning or, with `since`, what changed after an instant. */
export type PlannedRequest = { readonly type: string | null; readonly since: Instant | null };

/** A pull under way, as it stands in the store: a crash goes on from here. */
export type RunningPull = {
  readonly id: string;
  readonly startedAt: Instant;
  readonly plan: readonly PlannedRequest[];
  /** How the requests before `at` ended, in the plan's order. */
  readonly results: readonly TypeResult[];
  /** The next page of the request `plan[results.length]`; null before its first one. */
  readonly next: string | null;
  /** Entries of that request so far, and how many the source has said there are: fewer at the end make it half a reading, after a crash too. */
  readonly entries: number;
  readonly total: number;
};

export type PullState = {
  readonly types: Readonly<Record<string, TypeState>>;
  readonly running: RunningPull | null;
  /** Bytes in each pack, live and dead, by pack id. */
  readonly packs: Readonly<Record<string, number>>;
  /** Ids of the Patients that were found linked to the authorization's own. */
  readonly patients: readonly string[];
};

export const NO_PULL_YET: PullState = { types: {}, running: null, packs: {}, patients: [] };

/** What a source can do with a search, by resource type, as its CapabilityStatement says. */
export type Abilities = { readonly lastUpdated: readonly string[] };

/** Why a pull reads from the beginning, or does not. */
export type PlanReason =
  | 'first'
  | 'asked_for'
  | 'reconciliation'
  | 'last_not_complete'
  | 'last_in_future'
  | 'suspects'
  | 'not_searchable'
  | 'changes_only';
export type Plan = { readonly requests: readonly PlannedRequest[]; readonly reason: PlanReason };

/**
 * Decides what a pull asks for. Types whose changes the source can tell (`_lastUpdated`) are asked for changes only, with an overlap for clocks and late
 * commits; all others, and all of them once in a while (a week, by default) as a reconciliation, from the beginning: only that sees removals. A source that is asked for
 * everything in one go is asked type by type for changes, if every stored type can be.
 */
export function decidePlan({
  state,
  storedTypes,
  pullBy,
  resourceTypes,
  reconcileEveryMs,
  abilities,
  wantsFull,
  now,
}: {
  readonly state: PullState;
  readonly storedTypes: readonly string[];
  readonly pullBy: 'everything' | 'search';
  readonly resourceTypes: readonly string[];
  readonly reconcileEveryMs: number;
  /** Null where the source was not asked, or could not say. */
  readonly abilities: Abilities | null;
  readonly wantsFull: boolean;
  readonly now: Instant;
}): Plan {
  const searchable = new Set(abilities?.lastUpdated ?? []);
  const needs = (type: string) => needsFull({ type, state, searchable, reconcileEveryMs, wantsFull, now });
  if (pullBy === 'search') {
    const requests = resourceTypes.map((type) => ({
      type,
      since: needs(type) === null ? sinceOf(state.types[type]) : null,
    }));
    const reason = resourceTypes.map(needs).find((found) => found !== null);
    return { requests, reason: reason ?? 'changes_only' };
  }
  const types = [...new Set([...resourceTypes.filter((type) => searchable.has(type)), ...storedTypes])];
  const reason = types.map(needs).find((found) => found !== null);
  if (reason !== undefined || abilities === null || searchable.size === 0) {
    return { requests: [{ type: null, since: null }], reason: reason ?? 'not_searchable' };
  }
  return { requests: types.map((type) => ({ type, since: sinceOf(state.types[type]) })), reason: 'changes_only' };
}

function needsFull({
  type,
  state,
  searchable,
  reconcileEveryMs,
  wantsFull,
  now,
}: {
  readonly type: string;
  readonly state: PullState;
  readonly searchable: ReadonlySet<string>;
  readonly reconcileEveryMs: number;
  readonly wantsFull: boolean;
  readonly now: Instant;
}): PlanReason | null {
  const known = state.types[type];
  if (known === undefined || known.fullAt === null || known.knownUntil === null) return 'first';
  if (wantsFull) return 'asked_for';
  if (known.suspects !== null) return 'suspects';
  if (known.result !== 'complete') return 'last_not_complete';
  // A clock ahead of ours dated it: what has changed since is not after that instant.
  if (known.knownUntil > now + LIMITS.clockSkewMaxMs) return 'last_in_future';
  if (!searchable.has(type)) return 'not_searchable';
  return now - known.fullAt >= reconcileEveryMs ? 'reconciliation' : null;
}

function sinceOf(known: TypeState | undefined): Instant | null {
  const knownUntil = known?.knownUntil ?? null;
  return knownUntil === null ? null : knownUntil - LIMITS.incrementalOverlapMs;
}

/** Whether a pull that a crash left is taken up where it stopped: cursors of servers live for hours, not for days. */
export function isResumable({
  running,
  now,
}: {
  readonly running: RunningPull | null;
  readonly now: Instant;
}): boolean {
  return running !== null && now - running.startedAt < LIMITS.resumePullWithinMs;
}

/** What is to be done with the resources of a type that a complete pull did not see: some are removed, others held as suspected. */
export type RemovalDecision = {
  readonly remove: readonly string[];
  readonly suspects: Suspects | null;
  readonly reason: 'none_missing' | 'few' | 'seen_twice' | 'sudden_drop';
};

/**
 * A sudden drop (more than a fifth of a type, or all of it) is held as suspected: half a database of a payer has been seen to vanish for a day. What a
 * second complete pull misses again is removed; what has come back meanwhile is no suspect any more.
 */
export function decideRemoval({
  missing,
  stored,
  before,
  startedAt,
}: {
  readonly missing: readonly string[];
  readonly stored: number;
  readonly before: Suspects | null;
  readonly startedAt: Instant;
}): RemovalDecision {
  if (missing.length === 0) return { remove: [], suspects: null, reason: 'none_missing' };
  const suspected = new Set(before?.ids ?? []);
  const fresh = missing.filter((id) => !suspected.has(id));
  if (fresh.length === 0) return { remove: missing, suspects: null, reason: 'seen_twice' };
  if (fresh.length <= stored * LIMITS.suddenDropShare) return { remove: missing, suspects: null, reason: 'few' };
  const remove = missing.filter((id) => suspected.has(id));
  return { remove, suspects: { ids: fresh, since: startedAt }, reason: 'sudden_drop' };
}

/** What is left of a suspicion once some of its resources were seen again: also a pull that is not complete proves what it saw. */
export function stillSuspected({
  suspects,
  isSeen,
}: {
  readonly suspects: Suspects | null;
  readonly isSeen: (id: string) => boolean;
}): Suspects | null {
  const ids = suspects?.ids.filter((id) => !isSeen(id)) ?? [];
  return suspects === null || ids.length === 0 ? null : { ids, since: suspects.since };
}
