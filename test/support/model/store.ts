import { STATES, type State } from '../../../src/core/authorization.ts';
import type { Instant } from '../../../src/core/clock.ts';
import { phaseBucketOf } from '../../../src/core/phase.ts';
import type { CommitResult, Store } from '../../../src/core/ports/store.ts';
import { auditTrail } from './store-audit.ts';
import { fleetStore } from './store-fleet.ts';
import { freshness } from './store-freshness.ts';
import { leases, release } from './store-leases.ts';
import { previews } from './store-previews.ts';
import { proofs } from './store-proofs.ts';
import { records } from './store-records.ts';
import { sourceStates } from './store-sources.ts';
import { sweeps } from './store-sweeps.ts';
import { applyPatch, createTables, fenced, isAsKnown, type Parts, type Tables, type Watch } from './store-tables.ts';
import { tokens } from './store-tokens.ts';

/**
 * The Store port in memory. Every call takes effect in one go, as a transaction does that holds its rows; it runs through the same contract as the real
 * stores, so that what a schedule proves about it holds for them.
 */
export function createStoreModel({
  now,
  domainNow = now,
  watch = {},
}: {
  readonly now: () => number;
  readonly domainNow?: () => Instant;
  readonly watch?: Watch;
}): { readonly store: Store; readonly tables: Tables } {
  const parts = { tables: createTables(), now, domainNow, watch };
  const store: Store = {
    ping: async () => undefined,
    close: async () => undefined,
    wallNow: async () => now(),
    ...authorizations(parts),
    ...leases(parts),
    ...fleetStore(parts),
    ...tokens(parts),
    ...records(parts),
    ...proofs(parts),
    ...sweeps(parts),
    ...sourceStates(parts),
    ...freshness(parts),
    ...previews(parts),
    ...auditTrail(parts),
  };
  return { store, tables: parts.tables };
}

const ENDED: ReadonlySet<State> = new Set(['needs_reauthorization', 'purging', 'purged']);

type Authorizations = Pick<
  Store,
  'insert' | 'get' | 'phaseLoads' | 'fingerprintsOf' | 'list' | 'countByState' | 'update' | 'updateAsOf'
>;

function authorizations(parts: Parts): Authorizations {
  const { tables } = parts;
  return {
    insert: async ({ authorization, fingerprint, keyFingerprint, tokens: pair, actor }) => {
      const { id, acceptedAt: at, stateReason: reason } = authorization;
      if (tables.authorizations.has(id)) return 'exists';
      tables.authorizations.set(id, { authorization, fingerprint, keyFingerprint, earlier: [], deleted: null });
      tables.tokens.set(id, pair);
      tables.audit.push({ at, authorizationId: id, actor, action: 'accepted', reason });
      return 'inserted';
    },
    get: async (id) => tables.authorizations.get(id)?.authorization ?? null,
    phaseLoads: async ({ network, buckets }) => {
      const rows = [...tables.authorizations.values()].filter(
        ({ authorization: { network: its, usage, state } }) =>
          its === network && usage === 'MULTIPLE' && !ENDED.has(state),
      );
      const countOf = (bucket: number) =>
        rows.filter(({ authorization: { phase } }) => phaseBucketOf(phase) === bucket).length;
      return new Map(buckets.map((bucket) => [bucket, countOf(bucket)]));
    },
    fingerprintsOf: async (id) => {
      const row = tables.authorizations.get(id);
      return { current: row?.fingerprint ?? null, earlier: row?.earlier ?? [] };
    },
    list: async ({ after, limit, state }) =>
      [...tables.authorizations.values()]
        .map((row) => row.authorization)
        .filter(({ id, state: its }) => (after === null || id > after) && (state === undefined || its === state))
        .sort((left, right) => (left.id < right.id ? -1 : 1))
        .slice(0, limit),
    countByState: async () => {
      const counted = (state: State) =>
        [...tables.authorizations.values()].filter((row) => row.authorization.state === state).length;
      const counts: Record<State, number> = {
        pending: 0,
        active: 0,
        needs_reauthorization: 0,
        suspended: 0,
        quarantined: 0,
        purging: 0,
        purged: 0,
      };
      for (const state of STATES) counts[state] = counted(state);
      return counts;
    },
    update: async (value) => update({ parts, value }),
    updateAsOf: async ({ asOf, ...value }) => {
      const row = tables.authorizations.get(value.authorizationId);
      const holds = row !== undefined && isAsKnown({ row, asOf });
      if (!holds && fenced({ tables, fence: value }, () => 'committed') === 'committed') return 'changed';
      return update({ parts, value });
    },
  };
}

function update({
  parts: { tables, ...parts },
  value: { patch, actor, release: given, ...fence },
}: {
  readonly parts: Parts;
  readonly value: Parameters<Store['update']>[0];
}): CommitResult {
  return fenced({ tables, fence }, (row) => {
    if (row.authorization.state === 'purged' && patch.state === undefined) return 'superseded';
    applyPatch({ parts: { tables, ...parts }, row, patch, actor });
    if (given !== undefined) release({ tables, now: parts.now, lease: { ...fence, ...given } });
    return 'committed';
  });
}
