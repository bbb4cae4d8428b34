import type { PurgeReason, UpstreamEnd, Usage } from '../authorization.ts';
import type { Instant } from '../clock.ts';
import type { NetworkName } from '../networks.ts';
import type { Head, Link } from './notary.ts';

export type AuditEntry = {
  readonly at: Instant;
  /** Null for what concerns no single authorization. */
  readonly authorizationId: string | null;
  readonly actor: string;
  readonly action: string;
  readonly reason: string | null;
};

/** An entry as it is kept. One that was written before there were chains has no link. */
export type StoredEntry = AuditEntry & { readonly cursor: number; readonly link: Link | null };

/** Rows deleted for one authorization, by what they held. */
export type DeletedRows = {
  readonly tokens: number;
  readonly packs: number;
  readonly manifests: number;
  readonly changes: number;
  /** State and checkpoints of its pulls. */
  readonly journal: number;
};

/** What a look for leftovers found; `unchecked` only in receipts of versions that did not look there. */
export type Finding = 'gone' | 'unchecked';
type Looks<T> = Readonly<Record<'key' | 'tokens' | 'records' | 'queue', T>>;

/** What stands in a receipt. Its words are plain text here, because what is read may have been altered. */
export type ReceiptContent = {
  readonly authorizationId: string;
  readonly source: string;
  readonly network: string;
  readonly usage: string;
  readonly acceptedAt: Instant;
  readonly dueAt: Instant | null;
  readonly purgedAt: Instant;
  readonly reason: string;
  readonly deleted: DeletedRows & { readonly jobs: number; readonly queueEvents: number };
  /** Of the destroyed data key, as it was noted at the acceptance; null for authorizations older than that. */
  readonly keyFingerprint: string | null;
  readonly upstream: string;
  readonly findings: Looks<string>;
};

/** What a purge leaves: what was erased, when, why and how it was verified. No health data. */
export type Receipt = ReceiptContent & {
  readonly network: NetworkName;
  readonly usage: Usage;
  readonly reason: PurgeReason;
  readonly upstream: UpstreamEnd;
  readonly findings: Looks<Finding>;
};

/** A receipt as it is kept. One that was written before there was a chain has no link. */
export type StoredReceipt = ReceiptContent & { readonly link: Link | null };

/** What is not in any chain: older than the chains, or younger, which nothing of ours writes. */
export type Unlinked = { readonly before: number; readonly after: number };

/** The audit trail and the receipts. Every entry and every receipt is a signed link of a chain, written in the transaction of what it tells. */
export type AuditStore = {
  readonly appendAudit: (entry: AuditEntry) => Promise<void>;
  /** In the order in which they were made. */
  readonly auditOf: (authorizationId: string) => Promise<readonly AuditEntry[]>;
  /** The links of one chain after `after`, in their order; for null the entries without a link, after that cursor. */
  readonly auditPage: (page: {
    readonly chain: string | null;
    readonly after: number;
    readonly limit: number;
  }) => Promise<readonly StoredEntry[]>;
  /** The linked receipts after `after`, in their order. */
  readonly receiptPage: (page: { readonly after: number; readonly limit: number }) => Promise<readonly StoredReceipt[]>;
  /** The heads of all chains, those of the receipts included, and how much is in none. */
  readonly chainHeads: () => Promise<{
    readonly heads: readonly Head[];
    readonly unlinked: { readonly entries: Unlinked; readonly receipts: Unlinked };
  }>;
  readonly receipt: (authorizationId: string) => Promise<StoredReceipt | null>;
};
