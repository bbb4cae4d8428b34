import { z } from 'zod';
import { instantText } from '../core/instant-text.ts';
import type { StoredEntry, StoredReceipt } from '../core/ports/audit.ts';
import { idSchema } from './wire.ts';

/** What an auditor reads: receipts, the audit trail, the heads of their chains and the key that signs them. Words are plain text, because what is read may have been altered. */

const linkSchema = z
  .object({
    chain: z.string(),
    seq: z.number().int().describe('Its place in the chain, without a gap from 1 on'),
    previousHash: z.string().describe('Of the link before; empty for the first'),
    hash: z.string().describe('SHA-256 of the text, base64url'),
    signature: z.string().describe('Ed25519 over the 32 bytes of the hash, base64url'),
    keyId: z.string().describe('The `kid` of the signing key'),
  })
  .nullable()
  .describe('Null for what was written before there were chains');

const count = z.number().int();

/** The proof of one purge; no health data is in it. */
export const receiptSchema = z.object({
  authorizationId: idSchema,
  source: z.string(),
  network: z.string(),
  usage: z.string(),
  acceptedAt: z.string(),
  dueAt: z.string().nullable(),
  purgedAt: z.string(),
  reason: z.string().describe('one_time_expired, requested or retention'),
  deleted: z.object({
    tokens: count,
    packs: count,
    manifests: count,
    changes: count,
    journal: count,
    jobs: count,
    queueEvents: count,
  }),
  keyFingerprint: z.string().nullable().describe('Of the destroyed data key, as noted at the acceptance'),
  upstream: z.string().describe('What became of the end at the source'),
  findings: z
    .object({ key: z.string(), tokens: z.string(), records: z.string(), queue: z.string() })
    .describe('What the look after the deletion found; all `gone`, or there would be no receipt'),
  link: linkSchema,
});

export type ReceiptView = z.infer<typeof receiptSchema>;

export const auditEntrySchema = z.object({
  cursor: z.number().int().describe('The `after` behind this entry'),
  at: z.string(),
  authorizationId: z.string().nullable().describe('Null for what concerns no single authorization'),
  actor: z.string(),
  action: z.string(),
  reason: z.string().nullable(),
  link: linkSchema,
});

export type AuditEntryView = z.infer<typeof auditEntrySchema>;

const headSchema = z.object({ chain: z.string(), seq: z.number().int(), hash: z.string() });
const unlinkedSchema = z.object({
  before: z.number().int().describe('Older than the chains'),
  after: z.number().int().describe('Younger: nothing of ours writes such'),
});

/** How far the chains go, and how far they went when it was last noted in the key store. */
export const auditHeadsSchema = z.object({
  heads: z.array(headSchema),
  anchors: z.array(headSchema).describe('Noted apart from the database: a chain that is shorter was cut'),
  unlinked: z.object({ entries: unlinkedSchema, receipts: unlinkedSchema }),
});

export type AuditHeadsView = z.infer<typeof auditHeadsSchema>;

/** The public half of the key that signs receipts and audit entries (RFC 8037); `kid` is its thumbprint (RFC 7638). */
export const signingKeySchema = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string(),
  kid: z.string(),
});

/** A receipt as it stands on the wire. */
export function receiptViewOf(receipt: StoredReceipt): ReceiptView {
  const { acceptedAt, dueAt, purgedAt } = receipt;
  return {
    ...receipt,
    acceptedAt: instantText(acceptedAt),
    dueAt: dueAt === null ? null : instantText(dueAt),
    purgedAt: instantText(purgedAt),
  };
}

/** The receipt of a view; an instant that is none becomes NaN, and its text `invalid` again. */
export function receiptOf(view: ReceiptView): StoredReceipt {
  const { acceptedAt, dueAt, purgedAt } = view;
  return {
    ...view,
    acceptedAt: Date.parse(acceptedAt),
    dueAt: dueAt === null ? null : Date.parse(dueAt),
    purgedAt: Date.parse(purgedAt),
  };
}

/** An audit entry as it stands on the wire. */
export function entryViewOf(entry: StoredEntry): AuditEntryView {
  return { ...entry, at: instantText(entry.at) };
}

/** The entry of a view; as {@link receiptOf}. */
export function entryOf(view: AuditEntryView): StoredEntry {
  return { ...view, at: Date.parse(view.at) };
}
