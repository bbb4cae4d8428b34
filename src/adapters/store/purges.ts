import { sql } from 'kysely';
import { mayMove } from '../../core/authorization.ts';
import { PerennialError } from '../../core/errors.ts';
import type { DeletedRows } from '../../core/ports/audit.ts';
import type { CommitResult, Receipt, Store } from '../../core/ports/store.ts';
import { toDeletedRows, toEndpoint, toNumber } from './columns.ts';
import { fenced, type Parts } from './fenced.ts';
import { appendLinked, appendReceipt } from './links.ts';
import type { Db } from './tables.ts';

type Purges = Pick<Store, 'deleteRows' | 'finishPurge'>;
const TABLES = ['intents', 'tokens', 'packs', 'manifests', 'changes', 'pulls', 'pull_pages'] as const;
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
}): Promise<Receipt['deleted']> {
  const row = await tx
    .selectFrom('authorizations')
    .select(['endpoint', 'deleted', 'swept_jobs', 'swept_events'])
    .where('id', '=', authorizationId)
    .executeTakeFirstOrThrow();
  const swept = { jobs: row.swept_jobs, queueEvents: row.swept_events };
  const before = row.deleted === null ? NOTHING : toDeletedRows(row.deleted);
  const now = await deleteAll({ tx, authorizationId });
  const deleted = {
    tokens: before.tokens + now.tokens,
    packs: before.packs + now.packs,
    manifests: before.manifests + now.manifests,
    changes: before.changes + now.changes,
    journal: before.journal + now.journal,
  };
  // A try before came as far as this, and nothing was written since.
  if (row.deleted !== null && Object.values(now).every((count) => count === 0)) return { ...deleted, ...swept };
  // The endpoint's name tells where a patient is treated; its id stays, so that a receipt can be traced to a source.
  const { name: _erased, ...endpoint } = toEndpoint(row.endpoint);
  await tx
    .updateTable('authorizations')
    .set({
      fingerprint: null,
      upstream_ref: null,
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
  return { ...deleted, ...swept };
}

/** One statement for all tables: of ten thousand purges that are due at once, each waits for the round trips of those before it. */
async function deleteAll({
  tx,
  authorizationId,
}: {
  readonly tx: Db;
  readonly authorizationId: string;
}): Promise<DeletedRows> {
  const gone = (table: (typeof TABLES)[number]) => sql`
    ${sql.ref(`gone_${table}`)} as (
      delete from ${sql.table(`perennial.${table}`)} where authorization_id = ${authorizationId} returning 1)`;
  const count = (table: (typeof TABLES)[number]) => sql`(select count(*) from ${sql.table(`gone_${table}`)})`;
  const { rows } = await sql<Readonly<Record<keyof DeletedRows, string | number | bigint>>>`
    with ${sql.join(TABLES.map(gone))}
    select ${count('tokens')} as tokens, ${count('packs')} as packs, ${count('manifests')} as manifests,
      ${count('changes')} as changes, ${count('pulls')} + ${count('pull_pages')} as journal`.execute(tx);
  const [row] = rows;
  if (row === undefined) throw new PerennialError('internal');
  return {
    tokens: toNumber(row.tokens),
    packs: toNumber(row.packs),
    manifests: toNumber(row.manifests),
    changes: toNumber(row.changes),
    journal: toNumber(row.journal),
  };
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
