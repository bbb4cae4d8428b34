import { instantText } from './instant-text.ts';
import type { AuditEntry } from './ports/audit.ts';
import { spreadOf } from './spread.ts';

/** Writers of one chain wait for each other until they commit; with 16 chains a fleet's writers hardly meet. It never changes: a chain would move. */
const AUDIT_CHAINS = 16;

/** The names of the audit chains, in their order. */
export const AUDIT_CHAIN_NAMES: readonly string[] = Array.from({ length: AUDIT_CHAINS }, (_, index) => nameOf(index));

/** The chain of an authorization's entries, for ever the same; what concerns none goes to the first chain. */
export function auditChainOf(authorizationId: string | null): string {
  return nameOf(authorizationId === null ? 0 : Math.floor(spreadOf(authorizationId) * AUDIT_CHAINS));
}

/** The text of an entry at its place, of which the hash and the signature are: JSON with these members in this order, and no blank. */
export function auditText({
  chain,
  seq,
  previousHash,
  entry,
}: {
  readonly chain: string;
  readonly seq: number;
  readonly previousHash: string;
  readonly entry: AuditEntry;
}): string {
  return JSON.stringify({
    type: 'perennial/audit/v1',
    chain,
    seq,
    previousHash,
    at: instantText(entry.at),
    authorizationId: entry.authorizationId,
    actor: entry.actor,
    action: entry.action,
    reason: entry.reason,
  });
}

function nameOf(index: number): string {
  return `audit-${index}`;
}
