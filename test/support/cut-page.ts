import type { EntryFault, SlicedEntry } from '../../src/core/bundle-page.ts';
import { type BundleEnd, createBundleSlicer } from '../../src/core/bundle-stream.ts';

/** One entry with a copy of its bytes, taken when it was handed out. */
export type CutEntry =
  | { readonly at: number; readonly resourceType: string; readonly id: string; readonly bytes: Uint8Array }
  | EntryFault;

export type CutPage = { readonly end: BundleEnd; readonly entries: readonly CutEntry[] };

/** Cuts a page that comes in chunks of these sizes, in turn. */
export function cutInChunks(page: Uint8Array, sizes: readonly number[]): CutPage {
  const cut = openCut(page, sizes);
  while (cut.goOn());
  return cut.end();
}

/** Cuts pages that arrive at the same time, a chunk of each in turn. */
export function cutTogether(pages: readonly Uint8Array[], sizes: readonly number[]): readonly CutPage[] {
  let open = pages.map((page) => openCut(page, sizes));
  const all = open;
  while (open.length > 0) open = open.filter((cut) => cut.goOn());
  return all.map((cut) => cut.end());
}

/** Each chunk is overwritten as soon as its entries have been taken, as by a reader that has one buffer. */
function openCut(page: Uint8Array, sizes: readonly number[]) {
  const slicer = createBundleSlicer();
  const entries: CutEntry[] = [];
  let at = 0;
  let turn = 0;
  const goOn = (): boolean => {
    if (at >= page.length) return false;
    const chunk = new Uint8Array(page.subarray(at, at + (sizes[turn % sizes.length] ?? page.length)));
    for (const entry of slicer.push(chunk)) entries.push(copyOf(entry));
    chunk.fill(0x2a);
    at += chunk.length;
    turn += 1;
    return true;
  };
  return { goOn, end: (): CutPage => ({ end: slicer.end(), entries }) };
}

function copyOf(entry: SlicedEntry): CutEntry {
  if (entry.kind === 'fault') return { index: entry.index, fault: entry.fault };
  const { at, resourceType, id, bytes } = entry;
  return { at, resourceType, id, bytes: bytes.slice() };
}
