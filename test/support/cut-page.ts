import type { EntryFault } from '../../src/core/bundle-page.ts';
import { type BundleEnd, createBundleSlicer } from '../../src/core/bundle-stream.ts';

/** One entry with a copy of its bytes, taken when it was handed out. */
export type CutEntry =
  | { readonly at: number; readonly resourceType: string; readonly id: string; readonly bytes: Uint8Array }
  | EntryFault;

export type CutPage = { readonly end: BundleEnd; readonly entries: readonly CutEntry[] };

/**
 * Cuts a page that comes in chunks of these sizes, in turn. Each chunk is overwritten as soon as its entries have been taken,
 * as a reader does that has one buffer.
 */
export function cutInChunks(page: Uint8Array, sizes: readonly number[]): CutPage {
  const slicer = createBundleSlicer();
  const entries: CutEntry[] = [];
  let turn = 0;
  for (let at = 0; at < page.length; ) {
    const chunk = page.slice(at, at + (sizes[turn % sizes.length] ?? page.length));
    for (const entry of slicer.push(chunk)) {
      if (entry.kind === 'fault') entries.push({ index: entry.index, fault: entry.fault });
      else entries.push({ at: entry.at, resourceType: entry.resourceType, id: entry.id, bytes: entry.bytes.slice() });
    }
    chunk.fill(0x2a);
    at += chunk.length;
    turn += 1;
  }
  return { end: slicer.end(), entries };
}
