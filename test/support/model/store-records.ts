import { mayMove } from '../../../src/core/authorization.ts';
import { PerennialError } from '../../../src/core/errors.ts';
import type { DeletedRows } from '../../../src/core/ports/audit.ts';
import type { CommitResult, Store } from '../../../src/core/ports/store.ts';
import { fenced, fencedBeforePurge, type Parts } from './store-tables.ts';

type Records = Pick<
  Store,
  'manifests' | 'recordsNow' | 'pack' | 'pullJournal' | 'commitRecords' | 'changes' | 'deleteRows' | 'finishPurge'
>;
const NOTHING: DeletedRows = { tokens: 0, packs: 0, manifests: 0, changes: 0, journal: 0 };

/** Sealed records, and their end. */
export function records(parts: Parts): Records {
  const { tables } = parts;
  let cursor = 0;
  const manifestsOf = (authorizationId: string) =>
    [...(tables.manifests.get(authorizationId) ?? [])]
      .map(([key, sealed]) => ({ key, sealed }))
      .sort((left, right) => (left.key < right.key ? -1 : 1));
  return {
    manifests: async (authorizationId) => manifestsOf(authorizationId),
    recordsNow: async (authorizationId) => ({
      manifests: manifestsOf(authorizationId),
      cursor: tables.changes.get(authorizationId)?.at(-1)?.cursor ?? 0,
    }),
    pack: async ({ authorizationId, id }) => tables.packs.get(authorizationId)?.get(id) ?? null,
    pullJournal: async (authorizationId) => tables.journals.get(authorizationId) ?? { state: null, pages: [] },
    commitRecords: async ({ packs, droppedPacks, manifests, changes, journal, ...fence }): Promise<CommitResult> =>
      fencedBeforePurge({ tables, fence }, () => {
        const { authorizationId } = fence;
        const ours = kept(tables.packs, authorizationId, () => new Map<string, Uint8Array>());
        const ids = new Set(packs.map(({ id }) => id));
        if (ids.size < packs.length || [...ids].some((id) => ours.has(id))) throw new PerennialError('internal');
        for (const { id, sealed } of packs) ours.set(id, sealed);
        const rows = kept(tables.manifests, authorizationId, () => new Map<string, Uint8Array>());
        for (const { key, sealed } of manifests) rows.set(key, sealed);
        for (const pack of droppedPacks) ours.delete(pack);
        for (const change of changes) {
          cursor += 1;
          kept(tables.changes, authorizationId, () => []).push({ cursor, ...change });
        }
        const before = tables.journals.get(authorizationId)?.pages ?? [];
        const pages = journal.ended ? [] : [...before, ...(journal.page === null ? [] : [journal.page])];
        tables.journals.set(authorizationId, { state: journal.state, pages });
        return 'committed';
      }),
    changes: async ({ authorizationId, after, limit }) =>
      (tables.changes.get(authorizationId) ?? []).filter((change) => change.cursor > after).slice(0, limit),
    ...purges(parts),
  };
}

function kept<V>(table: Map<string, V>, authorizationId: string, make: () => V): V {
  const found = table.get(authorizationId) ?? make();
  table.set(authorizationId, found);
  return found;
}

function purges({ tables }: Parts): Pick<Store, 'deleteRows' | 'finishPurge'> {
  return {
    deleteRows: async (fence) =>
      fenced({ tables, fence }, (row) => {
        const { authorizationId: id } = fence;
        const before = row.deleted ?? NOTHING;
        const journal = tables.journals.get(id);
        tables.intents.delete(id);
        row.deleted = {
          tokens: before.tokens + (tables.tokens.delete(id) ? 1 : 0),
          packs: before.packs + (tables.packs.get(id)?.size ?? 0),
          manifests: before.manifests + (tables.manifests.get(id)?.size ?? 0),
          changes: before.changes + (tables.changes.get(id)?.length ?? 0),
          journal: before.journal + (journal === undefined ? 0 : 1 + journal.pages.length),
        };
        for (const table of [tables.packs, tables.manifests, tables.changes, tables.journals]) table.delete(id);
        const { name: _erased, ...endpoint } = row.authorization.endpoint;
        row.authorization = { ...row.authorization, endpoint, trouble: null, lastError: null, upstreamRef: null };
        row.fingerprint = null;
        row.earlier = [];
        const { jobs, events: queueEvents } = tables.swept.get(id) ?? { jobs: 0, events: 0 };
        return { ...row.deleted, jobs, queueEvents };
      }),
    finishPurge: async ({ receipt, actor, ...fence }): Promise<CommitResult> =>
      fenced({ tables, fence }, (row) => {
        const { authorizationId } = fence;
        const { state } = row.authorization;
        if (receipt.authorizationId !== authorizationId || !mayMove({ from: state, to: 'purged' })) {
          throw new PerennialError('internal', { field: `state ${state} to purged` });
        }
        const { purgedAt, reason } = receipt;
        const end = { state: 'purged', stateReason: reason, purgeReason: reason, purgedAt, nextRunAt: null } as const;
        row.authorization = { ...row.authorization, ...end };
        tables.receipts.set(authorizationId, { ...receipt, keyFingerprint: row.keyFingerprint, link: null });
        tables.audit.push({ at: purgedAt, authorizationId, actor, action: 'state:purged', reason });
        return 'committed';
      }),
  };
}
