import { auditText } from '../../src/core/audit-text.ts';
import type { AuditEntry, ReceiptContent, StoredReceipt } from '../../src/core/ports/audit.ts';
import type { Link, Notary } from '../../src/core/ports/notary.ts';
import { RECEIPT_CHAIN, receiptText } from '../../src/core/receipt-text.ts';

/** An entry with its link, as a store keeps it. */
export type Linked = AuditEntry & { readonly link: Link };

export const CHAIN = 'audit-3';

/** The entries as one chain of a notary. */
export function trailOf({
  entries,
  notary,
}: {
  readonly entries: readonly AuditEntry[];
  readonly notary: Notary;
}): Linked[] {
  const trail: Linked[] = [];
  for (const entry of entries) trail.push(linkedAfter({ trail, entry, notary }));
  return trail;
}

/** The next link of a trail. */
export function linkedAfter({
  trail,
  entry,
  notary,
}: {
  readonly trail: readonly Linked[];
  readonly entry: AuditEntry;
  readonly notary: Notary;
}): Linked {
  const last = trail.at(-1)?.link;
  const place = { chain: CHAIN, seq: (last?.seq ?? 0) + 1, previousHash: last?.hash ?? '' };
  return { ...entry, link: { ...place, ...notary.attest(auditText({ ...place, entry })) } };
}

/** Receipts of these authorizations as one chain of a notary. */
export function receiptsOf({
  ids,
  notary,
}: {
  readonly ids: readonly string[];
  readonly notary: Notary;
}): (StoredReceipt & { readonly link: Link })[] {
  const chained: (StoredReceipt & { readonly link: Link })[] = [];
  for (const [index, authorizationId] of ids.entries()) {
    const receipt = receiptContentOf(authorizationId);
    const place = { chain: RECEIPT_CHAIN, seq: index + 1, previousHash: chained.at(-1)?.link.hash ?? '' };
    chained.push({ ...receipt, link: { ...place, ...notary.attest(receiptText({ ...place, receipt })) } });
  }
  return chained;
}

function receiptContentOf(authorizationId: string): ReceiptContent {
  const at = Date.UTC(2026, 6, 1);
  return {
    authorizationId,
    source: 'flexpa',
    network: 'TEFCA_IAS',
    usage: 'ONE_TIME',
    acceptedAt: at,
    dueAt: at + 86_400_000,
    purgedAt: at + 86_400_750,
    reason: 'one_time_expired',
    deleted: { tokens: 1, packs: 2, manifests: 3, changes: 4, journal: 5, jobs: 6, queueEvents: 7 },
    keyFingerprint: 'print-of-a-key',
    upstream: 'not_asked',
    findings: { key: 'gone', tokens: 'gone', records: 'gone', queue: 'gone' },
  };
}
