import { createVerifier } from '../adapters/vault/notary.ts';
import { AUDIT_CHAIN_NAMES } from '../core/audit-text.ts';
import { type ChainReport, unchainedOf } from '../core/check-chain.ts';
import { LIMITS } from '../core/limits.ts';
import { RECEIPT_CHAIN } from '../core/receipt-text.ts';
import { writeAuditEvents } from './audit-export.ts';
import { receiptLines, receiptsOf, reportOf } from './print-proof.ts';
import { UsageError } from './read-json.ts';
import { readSigningKey } from './receipt-file.ts';
import { idOf, type Shown, type Turn, wholeNumber } from './remote-turn.ts';
import { checkChainOf } from './walk-proof.ts';

/** Checks every chain, that of the receipts included. */
export function verifyAudit(turn: Turn): Promise<Shown> {
  return verify({ turn, chains: [...AUDIT_CHAIN_NAMES, RECEIPT_CHAIN] });
}

/** Checks the chain of the receipts alone. */
export function verifyReceipts(turn: Turn): Promise<Shown> {
  return verify({ turn, chains: [RECEIPT_CHAIN] });
}

/** One receipt. */
export async function receipt({ api, input }: Turn): Promise<Shown> {
  const found = await api.receipt(idOf(input));
  return { json: found, text: receiptLines(found) };
}

/** Receipts, a line each. */
export async function listReceipts({ api, input }: Turn): Promise<Shown> {
  const after = wholeNumber({ input, flag: 'after', least: 0, most: Number.MAX_SAFE_INTEGER }) ?? 0;
  const limit = wholeNumber({ input, flag: 'limit', least: 1, most: LIMITS.listPageMax }) ?? LIMITS.listPageMax;
  const found = await api.receipts({ after, limit });
  const last = found.length < limit ? undefined : found.at(-1)?.link?.seq;
  const more = last === undefined ? '' : `more: perennial receipts list --after ${last}\n`;
  return { json: { receipts: found, next: last ?? null }, text: `${receiptsOf(found)}${more}` };
}

/** Heads and anchors are read before the first link, so that what is written meanwhile lies behind them. */
async function verify({
  turn: { api, input, options },
  chains,
}: {
  readonly turn: Turn;
  readonly chains: readonly string[];
}): Promise<Shown> {
  const { key: keyFile } = input.flags;
  const key = keyFile === undefined ? await api.signingKey() : await readSigningKey({ file: keyFile, options });
  const verifier = createVerifier([key]);
  const { heads, anchors, unlinked } = await api.auditHeads();
  const reports: ChainReport[] = [];
  const marks = [...heads, ...anchors];
  for (const chain of chains) reports.push(await checkChainOf({ api, chain, marks, verifier }));
  reports.push(unchainedOf({ chain: 'receipts', unlinked: unlinked.receipts }));
  if (chains.length > 1) reports.push(unchainedOf({ chain: 'audit', unlinked: unlinked.entries }));
  const before = unlinked.receipts.before + (chains.length > 1 ? unlinked.entries.before : 0);
  return reportOf({ reports, chains: chains.length, before, keyId: key.kid, isOwnKey: keyFile !== undefined });
}

/** Writes the audit trail as FHIR AuditEvents. */
export async function exportAudit({ api, input }: Turn): Promise<Shown> {
  const { out: file } = input.flags;
  if (file === undefined || file === '') throw new UsageError('--out FILE is missing');
  const count = await writeAuditEvents({ api, file, chains: ['none', ...AUDIT_CHAIN_NAMES] });
  return { json: { file, count }, text: `${count} AuditEvent resources in ${file}\n` };
}
