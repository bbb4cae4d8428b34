import { sql } from 'kysely';
import { auditChainOf, auditText } from '../../core/audit-text.ts';
import { PerennialError } from '../../core/errors.ts';
import type { AuditEntry, ReceiptContent } from '../../core/ports/audit.ts';
import type { Link, Notary } from '../../core/ports/notary.ts';
import { RECEIPT_CHAIN, receiptText } from '../../core/receipt-text.ts';
import { toNumber } from './columns.ts';
import type { Db } from './tables.ts';

type Place = Pick<Link, 'chain' | 'seq' | 'previousHash'>;
type Linked = { readonly columns: LinkValues; readonly advance: () => Promise<void> };
type LinkValues = {
  readonly seq: number;
  readonly previous_hash: string;
  readonly hash: string;
  readonly signature: string;
  readonly key_id: string;
};

/**
 * Writes an audit entry as the newest link of its chain, inside the transaction of what it tells: both become true at once, or neither. The chain's head is
 * locked until the transaction ends, so this comes last in it, behind the lease row and the lock of the events: nobody waits in a circle.
 */
export async function appendLinked({
  tx,
  entry,
  notary,
}: {
  readonly tx: Db;
  readonly entry: AuditEntry;
  readonly notary: Notary;
}): Promise<void> {
  const place = await nextPlace({ tx, chain: auditChainOf(entry.authorizationId) });
  const { columns, advance } = link({ tx, place, text: auditText({ ...place, entry }), notary });
  const { at, authorizationId, actor, action, reason } = entry;
  await tx
    .insertInto('audit')
    .values({ at, authorization_id: authorizationId, actor, action, reason, chain: place.chain, ...columns })
    .execute();
  await advance();
}

/** As {@link appendLinked} for a receipt. Its chain is one for all, and its head the very last lock. */
export async function appendReceipt({
  tx,
  receipt,
  notary,
}: {
  readonly tx: Db;
  readonly receipt: ReceiptContent;
  readonly notary: Notary;
}): Promise<void> {
  const place = await nextPlace({ tx, chain: RECEIPT_CHAIN });
  const { columns, advance } = link({ tx, place, text: receiptText({ ...place, receipt }), notary });
  const row = {
    authorization_id: receipt.authorizationId,
    source: receipt.source,
    network: receipt.network,
    usage: receipt.usage,
    accepted_at: receipt.acceptedAt,
    due_at: receipt.dueAt,
    purged_at: receipt.purgedAt,
    reason: receipt.reason,
    deleted: JSON.stringify(receipt.deleted),
    key_fingerprint: receipt.keyFingerprint,
    upstream: receipt.upstream,
    findings: JSON.stringify(receipt.findings),
  };
  await tx
    .insertInto('receipts')
    .values({ ...row, ...columns })
    .execute();
  await advance();
}

async function nextPlace({ tx, chain }: { readonly tx: Db; readonly chain: string }): Promise<Place> {
  const head = await tx
    .selectFrom('chain_heads')
    .select(['seq', 'hash'])
    .where('chain', '=', chain)
    .forUpdate()
    .executeTakeFirst();
  if (head === undefined) throw new PerennialError('internal', { field: 'the head of a chain is missing' });
  return { chain, seq: toNumber(head.seq) + 1, previousHash: head.hash };
}

function link({
  tx,
  place: { chain, seq, previousHash },
  text,
  notary,
}: {
  readonly tx: Db;
  readonly place: Place;
  readonly text: string;
  readonly notary: Notary;
}): Linked {
  const { hash, signature, keyId } = notary.attest(text);
  return {
    columns: { seq, previous_hash: previousHash, hash, signature, key_id: keyId },
    advance: async () => {
      await sql`update perennial.chain_heads set seq = ${seq}, hash = ${hash} where chain = ${chain}`.execute(tx);
    },
  };
}
