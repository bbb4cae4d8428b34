import { mayMove } from '../../core/authorization.ts';
import { PerennialError } from '../../core/errors.ts';
import type { CommitResult, Receipt, Store } from '../../core/ports/store.ts';
import { member, PURGE_REASON_SET, toDeleted, toEndpoint } from './columns.ts';
import { fenced, type Parts } from './fenced.ts';
import type { Session } from './session.ts';
import type { Db } from './tables.ts';

type Purges = Pick<Store, 'deleteRows' | 'finishPurge' | 'receipt'>;
const NOTHING: Receipt['deleted'] = { tokens: 0, packs: 0, manifests: 0, changes: 0 };

/** The end of an authorization. Its row and its lease stay: the id is spent, and the fence goes on growing. */
export function purges({ session }: Parts): Purges {
  return {
    deleteRows: (fence) =>
      fenced({ session, fence }, (tx) => deleteRows({ tx, authorizationId: fence.authorizationId })),
    finishPurge: (value) => finishPurge({ session, value }),
    receipt: (authorizationId) =>
      session.query(async (db) => {
        const row = await db
          .selectFrom('receipts')
          .selectAll()
          .where('authorization_id', '=', authorizationId)
          .executeTakeFirst();
        if (row === undefined) return null;
        return {
          authorizationId,
          purgedAt: row.purged_at,
          dueAt: row.due_at,
          reason: member(PURGE_REASON_SET, row.reason),
          deleted: toDeleted(row.deleted),
          verified: row.verified,
        };
      }),
  };
}

async function deleteRows({
  tx,
  authorizationId,
}: {
  readonly tx: Db;
  readonly authorizationId: string;
}): Promise<Receipt['deleted']> {
  const row = await tx
    .selectFrom('authorizations')
    .select(['endpoint', 'deleted'])
    .where('id', '=', authorizationId)
    .executeTakeFirstOrThrow();
  const before = row.deleted === null ? NOTHING : toDeleted(row.deleted);
  for (const table of ['intents', 'pulls', 'pull_pages'] as const) await deleteFrom({ tx, table, authorizationId });
  const deleted = {
    tokens: before.tokens + (await deleteFrom({ tx, table: 'tokens', authorizationId })),
    packs: before.packs + (await deleteFrom({ tx, table: 'packs', authorizationId })),
    manifests: before.manifests + (await deleteFrom({ tx, table: 'manifests', authorizationId })),
    changes: before.changes + (await deleteFrom({ tx, table: 'changes', authorizationId })),
  };
  // The endpoint's name tells where a patient is treated; its id stays, so that a receipt can be traced to a source.
  const { name: _erased, ...endpoint } = toEndpoint(row.endpoint);
  await tx
    .updateTable('authorizations')
    .set({
      fingerprint: null,
      earlier_fingerprints: '[]',
      trouble: null,
      trouble_since: null,
      trouble_until: null,
      last_error: null,
      endpoint: JSON.stringify(endpoint),
      deleted: JSON.stringify(deleted),
    })
    .where('id', '=', authorizationId)
    .execute();
  return deleted;
}

async function deleteFrom({
  tx,
  table,
  authorizationId,
}: {
  readonly tx: Db;
  readonly table: 'intents' | 'tokens' | 'packs' | 'manifests' | 'changes' | 'pulls' | 'pull_pages';
  readonly authorizationId: string;
}): Promise<number> {
  const { numDeletedRows } = await tx
    .deleteFrom(table)
    .where('authorization_id', '=', authorizationId)
    .executeTakeFirst();
  return Number(numDeletedRows);
}

function finishPurge({
  session,
  value: { receipt, actor, ...fence },
}: {
  readonly session: Session;
  readonly value: Parameters<Store['finishPurge']>[0];
}): Promise<CommitResult> {
  const { authorizationId } = fence;
  const { purgedAt, reason } = receipt;
  return fenced({ session, fence }, async (tx, { state }) => {
    if (receipt.authorizationId !== authorizationId || !mayMove({ from: state, to: 'purged' })) {
      throw new PerennialError('internal', { field: `state ${state} to purged` });
    }
    await tx
      .updateTable('authorizations')
      .set({ state: 'purged', state_reason: reason, purge_reason: reason, purged_at: purgedAt, next_run_at: null })
      .where('id', '=', authorizationId)
      .execute();
    const row = {
      authorization_id: authorizationId,
      purged_at: purgedAt,
      due_at: receipt.dueAt,
      reason,
      deleted: JSON.stringify(receipt.deleted),
      verified: receipt.verified,
    };
    await tx.insertInto('receipts').values(row).execute();
    const entry = { at: purgedAt, authorization_id: authorizationId, actor, action: 'state:purged', reason };
    await tx.insertInto('audit').values(entry).execute();
    return 'committed';
  });
}
