import type { ProofApi } from '../client/proof.ts';
import { type AuditEntryView, entryOf, receiptOf } from '../contract/proof.ts';
import {
  type ChainReport,
  type Checkable,
  checkableEntry,
  checkableReceipt,
  createChainCheck,
} from '../core/check-chain.ts';
import { LIMITS } from '../core/limits.ts';
import type { Head, Verifier } from '../core/ports/notary.ts';
import { RECEIPT_CHAIN } from '../core/receipt-text.ts';

type Walk = { readonly api: ProofApi; readonly chain: string };
const limit = LIMITS.listPageMax;

/** Reads a chain from its first link to its last and checks it, holding one page at a time. */
export async function checkChainOf({
  api,
  chain,
  marks,
  verifier,
}: Walk & { readonly marks: readonly Head[]; readonly verifier: Verifier }): Promise<ChainReport> {
  const check = createChainCheck({ chain, marks, verifier });
  for await (const checkable of checkablesOf({ api, chain })) check.take(checkable);
  return check.end();
}

/** The entries of a chain, or for `none` those that are in none, page by page until a page is not full. */
export async function* entriesOf({ api, chain }: Walk): AsyncGenerator<AuditEntryView> {
  for (let after = 0; ; ) {
    const entries = await api.audit({ chain, after, limit });
    yield* entries;
    after = entries.at(-1)?.cursor ?? after;
    if (entries.length < limit) return;
  }
}

async function* checkablesOf({ api, chain }: Walk): AsyncGenerator<Checkable> {
  if (chain === RECEIPT_CHAIN) {
    yield* receiptsOf(api);
    return;
  }
  for await (const view of entriesOf({ api, chain })) {
    const checkable = checkableEntry(entryOf(view));
    if (checkable !== null) yield checkable;
  }
}

async function* receiptsOf(api: ProofApi): AsyncGenerator<Checkable> {
  for (let after = 0; ; ) {
    const receipts = await api.receipts({ after, limit });
    for (const view of receipts) {
      const checkable = checkableReceipt(receiptOf(view));
      if (checkable !== null) yield checkable;
    }
    after = receipts.at(-1)?.link?.seq ?? after;
    if (receipts.length < limit) return;
  }
}
