import { z } from 'zod';
import {
  type AuditEntryView,
  type AuditHeadsView,
  auditEntrySchema,
  auditHeadsSchema,
  type ReceiptView,
  receiptSchema,
  signingKeySchema,
} from '../contract/proof.ts';
import type { SigningJwk } from '../core/ports/notary.ts';
import { type Exchange, read } from './exchange.ts';

const auditPageSchema = z.object({ entries: z.array(auditEntrySchema), next: z.number().int() });
const receiptPageSchema = z.object({ receipts: z.array(receiptSchema), next: z.number().int() });

/** What an auditor asks: the proof, and what it is checked with. */
export type ProofApi = {
  readonly receipt: (id: string) => Promise<ReceiptView>;
  readonly receipts: (page: { readonly after: number; readonly limit: number }) => Promise<readonly ReceiptView[]>;
  /** The links of one chain, or for `none` what is in no chain. */
  readonly audit: (page: {
    readonly chain: string;
    readonly after: number;
    readonly limit: number;
  }) => Promise<readonly AuditEntryView[]>;
  readonly auditHeads: () => Promise<AuditHeadsView>;
  readonly signingKey: () => Promise<SigningJwk>;
};

/** The calls of the proof over an exchange. */
export function proofApi({ call }: Pick<Exchange, 'call'>): ProofApi {
  const get = async <T extends z.ZodType>(schema: T, path: string) =>
    read(schema, (await call({ method: 'GET', path })).body);
  return {
    receipt: (id) => get(receiptSchema, `/v1/authorizations/${encodeURIComponent(id)}/receipt`),
    receipts: async ({ after, limit }) =>
      (await get(receiptPageSchema, `/v1/receipts?after=${after}&limit=${limit}`)).receipts,
    audit: async ({ chain, after, limit }) =>
      (await get(auditPageSchema, `/v1/audit?chain=${encodeURIComponent(chain)}&after=${after}&limit=${limit}`))
        .entries,
    auditHeads: () => get(auditHeadsSchema, '/v1/audit/heads'),
    signingKey: () => get(signingKeySchema, '/v1/signing-key'),
  };
}
