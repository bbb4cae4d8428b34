import { auditText } from '../../src/core/audit-text.ts';
import type { AuditEntry } from '../../src/core/ports/audit.ts';
import type { Link, Notary } from '../../src/core/ports/notary.ts';

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
