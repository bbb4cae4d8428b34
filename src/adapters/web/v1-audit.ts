import { auditHeadsSchema, receiptSchema, signingKeySchema } from '../../contract/proof.ts';
import type { Service } from '../../contract/service.ts';
import { BY_ID, ONE, type Route } from './routes.ts';
import {
  auditPageSchema,
  auditQuery,
  idParams,
  readParams,
  receiptPageSchema,
  receiptsQuery,
  type SigningKey,
} from './schemas.ts';

type Parts = { readonly service: Service; readonly signingPublicJwk: SigningKey };

/** The routes of the proof: receipts, the audit trail, and what is needed to check both. */
export function createAuditRoutes({ service, signingPublicJwk }: Parts): readonly Route[] {
  return [receipt(service), receipts(service), audit(service), heads(service), signingKey(signingPublicJwk)];
}

function receipt(service: Service): Route {
  return {
    method: 'GET',
    path: `${ONE}/receipt`,
    operationId: 'getReceipt',
    summary:
      'The signed proof that an authorization was purged: when, why, what and how it was verified; no health data.',
    scope: 'read',
    params: idParams,
    success: [{ status: 200, description: 'The receipt', schema: 'Receipt' }],
    errors: [...BY_ID, 'not_found'],
    handle: async ({ request, actor }) =>
      receiptSchema.parse(await service.receipt({ id: readParams(idParams, request.params).id, actor })),
  };
}

function receipts(service: Service): Route {
  return {
    method: 'GET',
    path: '/v1/receipts',
    operationId: 'getReceipts',
    summary: 'All receipts in the order of their chain, a page at a time; audited.',
    scope: 'audit',
    query: receiptsQuery,
    success: [{ status: 200, description: 'One page', schema: 'ReceiptPage' }],
    errors: ['invalid_request', 'database_unreachable'],
    handle: async ({ request, actor }) => {
      const { after, limit } = readParams(receiptsQuery, request.query);
      const found = await service.receipts({ actor, after, limit });
      return receiptPageSchema.parse({ receipts: found, next: found.at(-1)?.link?.seq ?? after });
    },
  };
}

function audit(service: Service): Route {
  return {
    method: 'GET',
    path: '/v1/audit',
    operationId: 'getAudit',
    summary: 'The audit trail, one of its chains at a time in the order of its links, a page at a time; audited.',
    scope: 'audit',
    query: auditQuery,
    success: [{ status: 200, description: 'One page', schema: 'AuditPage' }],
    errors: ['invalid_request', 'database_unreachable'],
    handle: async ({ request, actor }) => {
      const { chain, after, limit } = readParams(auditQuery, request.query);
      const found = await service.audit({ actor, chain: chain === 'none' ? null : chain, after, limit });
      return auditPageSchema.parse({ entries: found, next: found.at(-1)?.cursor ?? after });
    },
  };
}

function heads(service: Service): Route {
  return {
    method: 'GET',
    path: '/v1/audit/heads',
    operationId: 'getAuditHeads',
    summary: 'How far each chain goes, how far it went when the key store last took note, and how much is in no chain.',
    scope: 'audit',
    success: [{ status: 200, description: 'Heads and anchors', schema: 'AuditHeads' }],
    errors: ['database_unreachable'],
    handle: async () => auditHeadsSchema.parse(await service.auditHeads()),
  };
}

function signingKey(signingPublicJwk: SigningKey): Route {
  return {
    method: 'GET',
    path: '/v1/signing-key',
    operationId: 'getSigningKey',
    summary: 'The public key that receipts and audit entries are signed with. Keep a copy: it says whose they are.',
    scope: 'any',
    success: [{ status: 200, description: 'A JWK', schema: 'SigningKey' }],
    errors: [],
    handle: async () => signingKeySchema.parse(signingPublicJwk),
  };
}
