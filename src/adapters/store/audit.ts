import { type Selectable, sql } from 'kysely';
import { z } from 'zod';
import type { AuditStore, StoredEntry, StoredReceipt, Unlinked } from '../../core/ports/audit.ts';
import type { Link } from '../../core/ports/notary.ts';
import { RECEIPT_CHAIN } from '../../core/receipt-text.ts';
import { toNumber } from './columns.ts';
import type { Parts } from './fenced.ts';
import { appendLinked } from './links.ts';
import type { Session } from './session.ts';
import type { Db, Tables } from './tables.ts';

type Row<T extends 'audit' | 'receipts'> = Selectable<Tables[T]>;

/** The audit trail and the receipts: written as links of their chains, read as they stand there. */
export function auditTrail({ session, notary }: Parts): AuditStore {
  return {
    appendAudit: (entry) => session.transaction((tx) => appendLinked({ tx, entry, notary })),
    auditOf: (authorizationId) =>
      session.query(async (db) => {
        const rows = await db
          .selectFrom('audit')
          .select(['at', 'actor', 'action', 'reason'])
          .where('authorization_id', '=', authorizationId)
          // Not by id, which no signature covers.
          .orderBy('seq', (order) => order.asc().nullsFirst())
          .orderBy('id')
          .execute();
        return rows.map((row) => ({ ...row, authorizationId }));
      }),
    auditPage: ({ chain, after, limit }) =>
      session.query(async (db) => {
        const wanted = db.selectFrom('audit').selectAll().limit(limit);
        const rows =
          chain === null
            ? wanted.where('chain', 'is', null).where('id', '>', after).orderBy('id')
            : wanted.where('chain', '=', chain).where('seq', '>', after).orderBy('seq');
        return (await rows.execute()).map(toEntry);
      }),
    receiptPage: ({ after, limit }) =>
      session.query(async (db) => {
        const rows = db.selectFrom('receipts').selectAll().where('seq', '>', after).orderBy('seq').limit(limit);
        return (await rows.execute()).map(toReceipt);
      }),
    chainHeads: () => chainHeads(session),
    receipt: (authorizationId) =>
      session.query(async (db) => {
        const row = await db
          .selectFrom('receipts')
          .selectAll()
          .where('authorization_id', '=', authorizationId)
          .executeTakeFirst();
        return row === undefined ? null : toReceipt(row);
      }),
  };
}

async function chainHeads(session: Session): ReturnType<AuditStore['chainHeads']> {
  return session.query(async (db) => {
    const heads = await db.selectFrom('chain_heads').selectAll().orderBy('chain').execute();
    return {
      heads: heads.map(({ chain, seq, hash }) => ({ chain, seq: toNumber(seq), hash })),
      unlinked: { entries: await unlinkedEntries(db), receipts: await unlinkedReceipts(db) },
    };
  });
}

/** Younger than a linked one is what was written behind the back of the chains; its id was drawn after theirs began. */
async function unlinkedEntries(db: Db): Promise<Unlinked> {
  const { rows } = await sql<UnlinkedRow>`
    select count(*) filter (where audit.id < first.id) as before, count(*) filter (where audit.id > first.id) as after
    from perennial.audit, (select coalesce(min(id), 9223372036854775807) as id from perennial.audit where chain is not null) as first
    where chain is null`.execute(db);
  return toUnlinked(rows[0]);
}

async function unlinkedReceipts(db: Db): Promise<Unlinked> {
  const { rows } = await sql<UnlinkedRow>`
    select count(*) filter (where purged_at <= first.at) as before, count(*) filter (where purged_at > first.at) as after
    from perennial.receipts, (select coalesce(min(purged_at), 'infinity') as at from perennial.receipts where seq is not null) as first
    where seq is null`.execute(db);
  return toUnlinked(rows[0]);
}

type UnlinkedRow = { readonly before: string | number | bigint; readonly after: string | number | bigint };

function toUnlinked(row: UnlinkedRow | undefined): Unlinked {
  return { before: toNumber(row?.before ?? 0), after: toNumber(row?.after ?? 0) };
}

function toEntry(row: Row<'audit'>): StoredEntry {
  const { id, at, authorization_id: authorizationId, actor, action, reason, chain } = row;
  const link = chain === null ? null : toLink(chain, row);
  return { at, authorizationId, actor, action, reason, cursor: toNumber(row.seq ?? id), link };
}

/** A column of a link that somebody emptied reads as an empty text, which no hash and no signature is. */
function toLink(chain: string, row: Row<'audit'> | Row<'receipts'>): Link {
  return {
    chain,
    seq: toNumber(row.seq ?? 0),
    previousHash: row.previous_hash ?? '',
    hash: row.hash ?? '',
    signature: row.signature ?? '',
    keyId: row.key_id ?? '',
  };
}

/** What is not a count any more was altered: it reads as one that never was, and the hash tells. */
const count = z.number().default(0).catch(-1);
const deletedSchema: z.ZodType<StoredReceipt['deleted']> = z
  .object({
    tokens: count,
    packs: count,
    manifests: count,
    changes: count,
    journal: count,
    jobs: count,
    queueEvents: count,
  })
  .catch({ tokens: -1, packs: -1, manifests: -1, changes: -1, journal: -1, jobs: -1, queueEvents: -1 });
const found = z.string().catch('');
const findingsSchema: z.ZodType<StoredReceipt['findings']> = z
  .object({ key: found, tokens: found, records: found, queue: found })
  .catch({ key: '', tokens: '', records: '', queue: '' });

function toReceipt(row: Row<'receipts'>): StoredReceipt {
  return {
    authorizationId: row.authorization_id,
    source: row.source,
    network: row.network,
    usage: row.usage,
    acceptedAt: row.accepted_at,
    dueAt: row.due_at,
    purgedAt: row.purged_at,
    reason: row.reason,
    deleted: deletedSchema.parse(row.deleted),
    keyFingerprint: row.key_fingerprint,
    upstream: row.upstream,
    findings: findingsSchema.parse(row.findings),
    link: row.seq === null ? null : toLink(RECEIPT_CHAIN, row),
  };
}
