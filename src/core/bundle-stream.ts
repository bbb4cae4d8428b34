import { newPage, type Page, type SlicedEntry, takePart } from './bundle-page.ts';
import { textOf } from './json-members.ts';
import { createJsonScanner, type OnPart, type ScanFault } from './json-scanner.ts';
import { letGo, nothingKept, takeChunk } from './kept-bytes.ts';
import { LIMITS } from './limits.ts';

/** Why a page is none. `late_type`: too much came before it said that it is a Bundle. */
export type PageRefusal = ScanFault | 'not_a_bundle' | 'late_type';

/** What one page turned out to be. `next` is unescaped but unchecked: `decideLink` says whether it may be followed. */
export type BundleEnd =
  | {
      readonly kind: 'bundle';
      readonly type: string;
      readonly entries: number;
      readonly next?: string;
      readonly total?: number;
    }
  | { readonly kind: 'outcome'; readonly codes: readonly string[] }
  | { readonly kind: 'refused'; readonly reason: PageRefusal };

/** Cuts one page. */
export type BundleSlicer = {
  /** The entries that this chunk completes. Their bytes, and the chunk, must stay as they are until the next call. */
  readonly push: (chunk: Uint8Array) => readonly SlicedEntry[];
  /** Why nothing more of the page is worth reading; known at the latest with the chunk that shows it. */
  readonly refused: () => PageRefusal | undefined;
  /** The page has no more bytes: what it was. Called once. */
  readonly end: () => BundleEnd;
};

/** What an entry costs apart from its bytes, as far as a limit needs to know it. */
const ENTRY_BYTES = 256;

/**
 * Cuts one FHIR page into its resources as it arrives, decompressed, in chunks of any size (design, section 7): the bytes as
 * they were sent, never parsed or written again. Memory holds the chunk and the entry under way, nothing else.
 *
 * What ends as a bundle is what `JSON.parse` takes, in UTF-8, nested at most 512 deep: every byte is checked, also inside of
 * resources. Entries are handed out before the page has ended, so that who takes them must be ready to hear that the page was
 * refused; of a chunk with a fault none are. Keys may come in any order and spelling; of duplicate keys the last one counts,
 * as in `JSON.parse`, but for `entry`: a page with two of them is refused, since entries of the first are already out. Nothing is
 * handed out before the page has said that it is a Bundle: what comes earlier is copied and held back, up to
 * `pageHeldBackMaxBytes`. A missing, null or empty `entry` is an empty page. An `entry` or `link` of another shape, or a
 * `next` whose url cannot be read, refuses the page: taken for an empty or a last page it would publish deletions that never
 * happened. An OperationOutcome gives its issue codes, none of its text. Throws nothing.
 */
export function createBundleSlicer(): BundleSlicer {
  const scanner = createJsonScanner();
  const page = newPage();
  const onPart: OnPart = (part, depth, from, to, name) => takePart(page, part, depth, from, to, name);
  let held: SlicedEntry[] = [];
  let heldBytes = 0;
  let refusal: PageRefusal | undefined;

  /** What is held back is handed out in its order before anything else; or copied, for the chunk goes. */
  const handOut = (): readonly SlicedEntry[] => {
    const isBundle = typeOf(page) === 'Bundle';
    if (isBundle && held.length === 0) return page.done;
    for (const entry of page.done) {
      held.push(isBundle || entry.kind === 'fault' ? entry : { ...entry, bytes: entry.bytes.slice() });
      heldBytes += ENTRY_BYTES + (entry.kind === 'fault' ? 0 : entry.bytes.length);
    }
    if (!isBundle) {
      if (heldBytes > LIMITS.pageHeldBackMaxBytes) refusal = 'late_type';
      return [];
    }
    const entries = held;
    held = [];
    heldBytes = 0;
    return entries;
  };

  const forget = (): void => {
    page.kept = nothingKept();
    held = [];
  };

  /** From where on bytes of this chunk are needed with the next one. */
  const neededFrom = (): number => {
    const { resourceAt } = page;
    const openAt = scanner.openAt();
    return resourceAt < 0 ? openAt : Math.min(resourceAt, openAt);
  };

  return {
    push: (chunk) => {
      if (refusal !== undefined) return [];
      takeChunk(page.kept, chunk);
      page.done = [];
      refusal = scanner.scan(chunk, onPart);
      const entries = refusal === undefined ? handOut() : [];
      if (refusal === undefined) letGo(page.kept, neededFrom());
      else forget();
      return entries;
    },
    refused: () => refusal,
    end: () => {
      refusal ??= scanner.end();
      return refusal === undefined ? judge(page) : { kind: 'refused', reason: refusal };
    },
  };
}

function typeOf({ members }: Page): string | undefined {
  return textOf(members, 'resourceType');
}

function judge(page: Page): BundleEnd {
  const { entries, next, total, codes, members } = page;
  if (typeOf(page) === 'OperationOutcome') return { kind: 'outcome', codes };
  const isWhole = typeOf(page) === 'Bundle' && page.areLinksReadable && page.isEntryReadable;
  if (!isWhole) return { kind: 'refused', reason: 'not_a_bundle' };
  const optional = { ...(next === undefined ? {} : { next }), ...(total === undefined ? {} : { total }) };
  return { kind: 'bundle', type: textOf(members, 'type') ?? '', entries, ...optional };
}
