import {
  type AuditEntryView,
  type AuditHeadsView,
  entryViewOf,
  type ReceiptView,
  receiptViewOf,
} from '../contract/proof.ts';
import { PerennialError } from '../core/errors.ts';
import type { Context } from './context.ts';

/** Who reads the proof, and a page of it. Whoever audits is audited: each read is an entry of its own, before anything is given. */
type Reading = { readonly context: Context; readonly actor: string };
type Page = { readonly after: number; readonly limit: number };

/** The receipt of one purge. @throws PerennialError `authorization_not_found`, or `not_found` before the purge. */
export async function readReceipt({
  context,
  actor,
  authorizationId,
}: Reading & { readonly authorizationId: string }): Promise<ReceiptView> {
  const { store } = context;
  if ((await store.get(authorizationId)) === null) throw new PerennialError('authorization_not_found');
  const receipt = await store.receipt(authorizationId);
  if (receipt === null) throw new PerennialError('not_found');
  await note({ context, actor, action: 'read:receipt', authorizationId });
  return receiptViewOf(receipt);
}

/** Receipts in the order of their chain. */
export async function readReceipts({ context, actor, ...page }: Reading & Page): Promise<readonly ReceiptView[]> {
  await note({ context, actor, action: 'read:receipts' });
  return (await context.store.receiptPage(page)).map(receiptViewOf);
}

/** The entries of one chain in their order; for null those that are in none. */
export async function readAudit({
  context,
  actor,
  ...page
}: Reading & Page & { readonly chain: string | null }): Promise<readonly AuditEntryView[]> {
  await note({ context, actor, action: 'read:audit' });
  return (await context.store.auditPage(page)).map(entryViewOf);
}

/** How far the chains go, and how far they are known to have gone. */
export async function readAuditHeads({ context: { store, vault } }: Pick<Reading, 'context'>): Promise<AuditHeadsView> {
  // The anchors first: a chain that grows meanwhile is no shorter than they say.
  const anchors = [...(await vault.anchors())];
  const { heads, unlinked } = await store.chainHeads();
  return { heads: [...heads], anchors, unlinked };
}

async function note({
  context: { store, clock },
  actor,
  action,
  authorizationId = null,
}: Reading & { readonly action: string; readonly authorizationId?: string | null }): Promise<void> {
  await store.appendAudit({ at: clock.now(), authorizationId, actor, action, reason: null });
}
