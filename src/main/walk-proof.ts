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
import { pageByPage } from './page-by-page.ts';

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
  const pages = pageByPage({
    from: 0,
    read: (after: number) => api.audit({ chain, after, limit }),
    nextOf: (entries) => (entries.length < limit ? null : (entries.at(-1)?.cursor ?? null)),
  });
  for await (const entries of pages) yield* entries;
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
  const pages = pageByPage({
    from: 0,
    read: (after: number) => api.receipts({ after, limit }),
    nextOf: (receipts) => (receipts.length < limit ? null : (receipts.at(-1)?.link?.seq ?? null)),
  });
  for await (const receipts of pages) {
    for (const view of receipts) {
      const checkable = checkableReceipt(receiptOf(view));
      if (checkable !== null) yield checkable;
    }
  }
}
