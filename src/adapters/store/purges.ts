import { mayMove } from '../../core/authorization.ts';
import { PerennialError } from '../../core/errors.ts';
import type { DeletedRows } from '../../core/ports/audit.ts';
import type { CommitResult, Store } from '../../core/ports/store.ts';
import { toDeletedRows, toEndpoint } from './columns.ts';
import { fenced, type Parts } from './fenced.ts';
import { appendLinked, appendReceipt } from './links.ts';
import type { Db } from './tables.ts';

type Purges = Pick<Store, 'deleteRows' | 'finishPurge'>;
const NOTHING: DeletedRows = { tokens: 0, packs: 0, manifests: 0, changes: 0, journal: 0 };

/** The end of an authorization. Its row and its lease stay: the id is spent, and the fence goes on growing. */
export function purges(parts: Parts): Purges {
  const { session } = parts;
  return {
    deleteRows: (fence) =>
      fenced({ session, fence }, (tx) => deleteRows({ tx, authorizationId: fence.authorizationId })),
    finishPurge: (value) => finishPurge({ parts, value }),
  };
}

async function deleteRows({
  tx,
  authorizationId,
}: {
  readonly tx: Db;
  readonly authorizationId: string;
}): Promise<DeletedRows> {
  const row = await tx
    .selectFrom('authorizations')
    .select(['endpoint', 'deleted'])
    .where('id', '=', authorizationId)
    .executeTakeFirstOrThrow();
  const before = row.deleted === null ? NOTHING : toDeletedRows(row.deleted);
  await deleteFrom({ tx, table: 'intents', authorizationId });
  const pulls = await deleteFrom({ tx, table: 'pulls', authorizationId });
  const pages = await deleteFrom({ tx, table: 'pull_pages', authorizationId });
  const deleted = {
    tokens: before.tokens + (await deleteFrom({ tx, table: 'tokens', authorizationId })),
    packs: before.packs + (await deleteFrom({ tx, table: 'packs', authorizationId })),
    manifests: before.manifests + (await deleteFrom({ tx, table: 'manifests', authorizationId })),
    changes: before.changes + (await deleteFrom({ tx, table: 'changes', authorizationId })),
    journal: before.journal + pulls + pages,
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
  parts: { session, notary },
  value: { receipt, actor, ...fence },
}: {
  readonly parts: Parts;
  readonly value: Parameters<Store['finishPurge']>[0];
}): Promise<CommitResult> {
  const { authorizationId } = fence;
  const { purgedAt, reason } = receipt;
  return fenced({ session, fence }, async (tx, { state }) => {
    if (receipt.authorizationId !== authorizationId || !mayMove({ from: state, to: 'purged' })) {
      throw new PerennialError('internal', { field: `state ${state} to purged` });
    }
    const { key_fingerprint: keyFingerprint } = await tx
      .updateTable('authorizations')
      .set({ state: 'purged', state_reason: reason, purge_reason: reason, purged_at: purgedAt, next_run_at: null })
      .where('id', '=', authorizationId)
      .returning('key_fingerprint')
      .executeTakeFirstOrThrow();
    const entry = { at: purgedAt, authorizationId, actor, action: 'state:purged', reason };
    await appendLinked({ tx, entry, notary });
    // The head that all purges share is locked last, for as short as can be.
    await appendReceipt({ tx, receipt: { ...receipt, keyFingerprint }, notary });
    return 'committed';
  });
}
