import { instantText } from './instant-text.ts';
import type { ReceiptContent } from './ports/audit.ts';

/** The one chain of all receipts. */
export const RECEIPT_CHAIN = 'receipts';

/** The text of a receipt at its place, of which the hash and the signature are: JSON with these members in this order, and no blank. */
export function receiptText({
  chain,
  seq,
  previousHash,
  receipt: { deleted, findings, ...receipt },
}: {
  readonly chain: string;
  readonly seq: number;
  readonly previousHash: string;
  readonly receipt: ReceiptContent;
}): string {
  return JSON.stringify({
    type: 'perennial/receipt/v1',
    chain,
    seq,
    previousHash,
    authorizationId: receipt.authorizationId,
    source: receipt.source,
    network: receipt.network,
    usage: receipt.usage,
    acceptedAt: instantText(receipt.acceptedAt),
    dueAt: receipt.dueAt === null ? null : instantText(receipt.dueAt),
    purgedAt: instantText(receipt.purgedAt),
    reason: receipt.reason,
    deleted: {
      tokens: deleted.tokens,
      packs: deleted.packs,
      manifests: deleted.manifests,
      changes: deleted.changes,
      journal: deleted.journal,
      jobs: deleted.jobs,
      queueEvents: deleted.queueEvents,
    },
    keyFingerprint: receipt.keyFingerprint,
    upstream: receipt.upstream,
    findings: { key: findings.key, tokens: findings.tokens, records: findings.records, queue: findings.queue },
  });
}
