import { auditText } from './audit-text.ts';
import type { StoredEntry, StoredReceipt, Unlinked } from './ports/audit.ts';
import type { Head, Link, Verifier } from './ports/notary.ts';
import { receiptText } from './receipt-text.ts';

/**
 * What can be wrong with a chain: a link was `altered`, is `missing`, stands where another belongs (`reordered`), is signed by no key of ours (`forged`);
 * its end is `cut_off` (a head or an anchor saw a link that is not there); or something is in no chain that is younger than the chains (`unchained`).
 */
export const FINDING_KINDS = ['altered', 'missing', 'reordered', 'forged', 'cut_off', 'unchained'] as const;
export type FindingKind = (typeof FINDING_KINDS)[number];
/** Names the place and nothing of what stands there. */
export type ChainFinding = { readonly kind: FindingKind; readonly chain: string; readonly seq: number };

type Place = Pick<Link, 'chain' | 'seq' | 'previousHash'>;
/** A link, and the text of what it is the link of, as it would be at a place. */
export type Checkable = { readonly link: Link; readonly textAt: (place: Place) => string };

export type ChainReport = {
  readonly chain: string;
  readonly links: number;
  /** Of each kind how many; exact. */
  readonly counts: Readonly<Record<FindingKind, number>>;
  /** The first {@link FINDINGS_MAX}. */
  readonly findings: readonly ChainFinding[];
};

/** A chain that was rewritten from some place on has a finding for every link: beyond so many they say nothing new. */
const FINDINGS_MAX = 100;

export type ChainCheck = {
  /** Takes the links in the order in which they are read, which has to be that of their places. */
  readonly take: (checkable: Checkable) => void;
  readonly end: () => ChainReport;
};

/**
 * Checks one chain link by link. `marks` are heads of it that were seen before the first link was read: in the database, or in the key store. Nothing of a
 * chain shows that its end is gone; they do.
 */
export function createChainCheck({
  chain,
  marks,
  verifier,
}: {
  readonly chain: string;
  readonly marks: readonly Head[];
  readonly verifier: Verifier;
}): ChainCheck {
  const found: ChainFinding[] = [];
  const misfits: Checkable[] = [];
  const counts = { altered: 0, missing: 0, reordered: 0, forged: 0, cut_off: 0, unchained: 0 };
  const report = (kind: FindingKind, seq: number): void => {
    counts[kind] += 1;
    if (found.length < FINDINGS_MAX) found.push({ kind, chain, seq });
  };
  const ours = marks.filter((mark) => mark.chain === chain && mark.seq > 0);
  let before = { seq: 0, hash: '', isSound: true };
  let links = 0;
  return {
    take: (checkable) => {
      const { link } = checkable;
      const { seq, hash } = link;
      links += 1;
      if (seq > before.seq + 1) report('missing', before.seq + 1);
      if (seq <= before.seq) report('reordered', seq);
      const judged = judgeLink({ checkable, verifier });
      if (judged === 'altered' && misfits.length < FINDINGS_MAX) misfits.push(checkable);
      else if (judged !== null) report(judged, seq);
      const isSound = judged === null;
      // Sound by itself and signed by us, but not what came after the link before: of another history, a restored copy's.
      if (isSound && before.isSound && seq === before.seq + 1 && link.previousHash !== before.hash) {
        report('reordered', seq);
      }
      if (isSound && ours.some((mark) => mark.seq === seq && mark.hash !== hash)) report('cut_off', seq);
      before = { seq, hash, isSound };
    },
    end: () => {
      for (const misfit of misfits) {
        report(isElsewhere({ misfit, misfits, verifier }) ? 'reordered' : 'altered', misfit.link.seq);
      }
      if (ours.some(({ seq }) => seq > before.seq)) report('cut_off', before.seq + 1);
      return { chain, links, counts, findings: found };
    },
  };
}

/** What is wrong with a link taken by itself; null where it is the text that was signed. */
export function judgeLink({
  checkable,
  verifier,
}: {
  readonly checkable: Checkable;
  readonly verifier: Verifier;
}): 'altered' | 'forged' | null {
  if (!fits({ checkable, place: checkable.link, verifier })) return 'altered';
  return verifier.isSigned(checkable.link) ? null : 'forged';
}

function fits({
  checkable: { link, textAt },
  place: { chain, seq, previousHash },
  verifier,
}: {
  readonly checkable: Checkable;
  readonly place: Place;
  readonly verifier: Verifier;
}): boolean {
  return verifier.hashOf(textAt({ chain, seq, previousHash })) === link.hash;
}

/** Whether its text is the one that a link at another wrong place was made for, or its link the one that was made for its text there. */
function isElsewhere({
  misfit,
  misfits,
  verifier,
}: {
  readonly misfit: Checkable;
  readonly misfits: readonly Checkable[];
  readonly verifier: Verifier;
}): boolean {
  return misfits.some(({ link }) => {
    const moved = { ...misfit.link, seq: link.seq };
    const isMoved = fits({ checkable: misfit, place: moved, verifier });
    return link.seq !== misfit.link.seq && (isMoved || verifier.hashOf(misfit.textAt(link)) === link.hash);
  });
}

/** What of an entry is checked; null for one without a link. */
export function checkableEntry(entry: StoredEntry): Checkable | null {
  const { link } = entry;
  return link === null ? null : { link, textAt: (place) => auditText({ ...place, entry }) };
}

/** What of a receipt is checked; null for one without a link. */
export function checkableReceipt(receipt: StoredReceipt): Checkable | null {
  const { link } = receipt;
  return link === null ? null : { link, textAt: (place) => receiptText({ ...place, receipt }) };
}

/** What is in no chain, as the findings tell it: what is older than the chains is none. */
export function unchainedOf({ chain, unlinked }: { readonly chain: string; readonly unlinked: Unlinked }): ChainReport {
  const counts = { altered: 0, missing: 0, reordered: 0, forged: 0, cut_off: 0, unchained: unlinked.after };
  const findings = unlinked.after === 0 ? [] : [{ kind: 'unchained', chain, seq: 0 } as const];
  return { chain, links: 0, counts, findings };
}
