import type { EntryFault, SlicedEntry } from './bundle-page.ts';
import { type BundleEnd, createBundleSlicer } from './bundle-stream.ts';

/** The bytes `[start, end)` of one page that are one resource, exactly as they were sent, with its type and id. */
export type ResourceSlice = {
  readonly start: number;
  readonly end: number;
  readonly resourceType: string;
  readonly id: string;
};

/** What one whole page turned out to be, in the words of `BundleEnd`. */
export type BundleSlices =
  | (Omit<Extract<BundleEnd, { readonly kind: 'bundle' }>, 'entries'> & {
      readonly slices: readonly ResourceSlice[];
      readonly faults: readonly EntryFault[];
    })
  | Exclude<BundleEnd, { readonly kind: 'bundle' }>;

/** Cuts a page that is in memory as a whole, as `createBundleSlicer` does, and tells nothing of one that is refused. */
export function sliceBundle(bytes: Uint8Array): BundleSlices {
  const slicer = createBundleSlicer();
  const entries = slicer.push(bytes);
  const end = slicer.end();
  if (end.kind !== 'bundle') return end;
  const { entries: _count, ...page } = end;
  return { ...page, slices: entries.flatMap(sliceOf), faults: entries.flatMap(faultOf) };
}

function sliceOf(entry: SlicedEntry): readonly ResourceSlice[] {
  if (entry.kind === 'fault') return [];
  const { at, bytes, resourceType, id } = entry;
  return [{ start: at, end: at + bytes.length, resourceType, id }];
}

function faultOf(entry: SlicedEntry): readonly EntryFault[] {
  return entry.kind === 'fault' ? [{ index: entry.index, fault: entry.fault }] : [];
}
