import type { AuditStore } from '../../../src/core/ports/audit.ts';
import type { Parts } from './store-tables.ts';

/** The audit trail and the receipts without their chains: what is signed and linked, the contract tries on the real stores. */
export function auditTrail({ tables }: Pick<Parts, 'tables'>): AuditStore {
  const unlinked = { before: 0, after: 0 };
  return {
    appendAudit: async (entry) => {
      tables.audit.push(entry);
    },
    auditOf: async (authorizationId) => tables.audit.filter((entry) => entry.authorizationId === authorizationId),
    auditPage: async ({ chain, after, limit }) =>
      chain !== null
        ? []
        : tables.audit.map((entry, index) => ({ ...entry, cursor: index + 1, link: null })).slice(after, after + limit),
    receiptPage: async () => [],
    chainHeads: async () => ({ heads: [], unlinked: { entries: unlinked, receipts: unlinked } }),
    receipt: async (authorizationId) => tables.receipts.get(authorizationId) ?? null,
  };
}
