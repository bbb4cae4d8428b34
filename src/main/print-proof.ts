import type { ReceiptView } from '../contract/proof.ts';
import { type ChainReport, FINDING_KINDS, type FindingKind } from '../core/check-chain.ts';
import { table } from './print.ts';
import type { Shown } from './remote-turn.ts';

const EXPLAINED: Readonly<Record<FindingKind, string>> = {
  altered: 'is not what was signed',
  missing: 'is not there',
  reordered: 'stands where another belongs',
  forged: 'is not signed by this key',
  cut_off: 'was there once; from here on the chain is gone',
  unchained: 'is younger than the chains and in none',
};

/** What a verification found, for `audit verify` and `receipts verify`; refused as soon as there is one finding. */
export function reportOf({
  reports,
  chains,
  before,
  keyId,
  isOwnKey,
}: {
  readonly reports: readonly ChainReport[];
  readonly chains: number;
  /** Entries and receipts that are older than the chains. */
  readonly before: number;
  readonly keyId: string;
  readonly isOwnKey: boolean;
}): Shown {
  const links = sum(reports.map((report) => report.links));
  const counts = Object.fromEntries(FINDING_KINDS.map((kind) => [kind, sum(reports.map((one) => one.counts[kind]))]));
  const findings = reports.flatMap((report) => report.findings);
  const total = sum(Object.values(counts));
  const rows = findings.map(({ kind, chain, seq }) => [kind, chain, String(seq), EXPLAINED[kind]]);
  const told = Object.entries(counts).filter(([, count]) => count > 0);
  const text = [
    `${counted(links, 'link')} in ${counted(chains, 'chain')}, key ${keyId}\n`,
    isOwnKey
      ? ''
      : 'the key is the one that this Perennial gives: compare it with a copy of your own, or name that with --key\n',
    before === 0 ? '' : `${before} older than the chains, which nothing proves\n`,
    total === 0 ? 'nothing found\n' : `FOUND ${told.map(([kind, count]) => `${count} ${kind}`).join(', ')}\n`,
    total === 0 ? '' : table([['FINDING', 'CHAIN', 'SEQ', 'WHAT IT MEANS'], ...rows]),
  ].join('');
  return { json: { links, chains, keyId, beforeChain: before, counts, findings }, text, failed: total > 0 };
}

/** Receipts a line each, for `receipts list`. */
export function receiptsOf(receipts: readonly ReceiptView[]): string {
  if (receipts.length === 0) return 'no receipts\n';
  const rows = receipts.map(({ link, authorizationId, purgedAt, dueAt, reason, source }) => [
    String(link?.seq ?? '-'),
    authorizationId,
    purgedAt,
    dueAt ?? '-',
    reason,
    source,
  ]);
  return table([['NUMBER', 'AUTHORIZATION', 'PURGED', 'DUE', 'REASON', 'SOURCE'], ...rows]);
}

/** One receipt, for `receipt`. */
export function receiptLines(receipt: ReceiptView): string {
  const { deleted, findings, link } = receipt;
  return table([
    ['authorization', receipt.authorizationId],
    ['source', `${receipt.source} (${receipt.network}, ${receipt.usage})`],
    ['accepted', receipt.acceptedAt],
    ['purge due', receipt.dueAt ?? '-'],
    ['purged', `${receipt.purgedAt} (${receipt.reason})`],
    [
      'deleted',
      Object.entries(deleted)
        .map(([what, count]) => `${count} ${what}`)
        .join(', '),
    ],
    ['key destroyed', receipt.keyFingerprint ?? 'not noted'],
    ['at the source', receipt.upstream],
    [
      'looked for',
      Object.entries(findings)
        .map(([what, found]) => `${what} ${found}`)
        .join(', '),
    ],
    ['signed', link === null ? 'no: older than the chain' : `number ${link.seq}, key ${link.keyId}`],
  ]);
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
