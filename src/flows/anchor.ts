import type { Head } from '../core/ports/notary.ts';
import { RECEIPT_CHAIN } from '../core/receipt-text.ts';
import type { Context } from './context.ts';

type Anchoring = Pick<Context, 'store' | 'vault' | 'log'>;

/**
 * Notes in the key store how far the chains of the audit trail and the receipts go: a chain does not show by itself that its end is gone. Where the link of
 * the last note is not in the database any more, the note stays as it is, so that the loss is seen until a person has looked at it.
 */
export async function anchorHeads(context: Anchoring): Promise<void> {
  const { store, vault, log } = context;
  const anchors = new Map((await vault.anchors()).map((anchor) => [anchor.chain, anchor]));
  const { heads } = await store.chainHeads();
  const grown: Head[] = [];
  for (const head of heads) {
    const anchor = anchors.get(head.chain);
    if (head.seq === anchor?.seq && head.hash === anchor.hash) continue;
    if (anchor === undefined || (await holds({ context, anchor }))) grown.push(head);
    else log.error('chain_cut', { reason: head.chain, count: anchor.seq });
  }
  if (grown.length > 0) await vault.anchor(grown);
}

async function holds({
  context: { store },
  anchor,
}: {
  readonly context: Pick<Anchoring, 'store'>;
  readonly anchor: Head;
}): Promise<boolean> {
  const { chain, seq, hash } = anchor;
  const page = { after: seq - 1, limit: 1 };
  const [found] = await (chain === RECEIPT_CHAIN ? store.receiptPage(page) : store.auditPage({ chain, ...page }));
  return found?.link?.seq === seq && found.link.hash === hash;
}
