/** Where one stored resource lies: its keyed hash, the pack that holds it, and its bytes' place in there. */
export type Place = { readonly hash: string; readonly pack: string; readonly offset: number; readonly length: number };

/** All stored resources of one type, by id. */
export type Manifest = ReadonlyMap<string, Place>;

/** What one pull changed in one resource type; ids only. */
export type ChangeList = {
  readonly type: string;
  readonly added: readonly string[];
  readonly modified: readonly string[];
  readonly removed: readonly string[];
};

/**
 * The ids that were stored and were not seen. Only a type that was read to its end may imply deletions: half a page taken
 * for a whole one would publish deaths that never happened (peers, F-19).
 */
export function removedIds({
  stored,
  seen,
  complete,
}: {
  readonly stored: Manifest;
  readonly seen: ReadonlySet<string>;
  readonly complete: boolean;
}): readonly string[] {
  if (!complete) return [];
  return [...stored.keys()].filter((id) => !seen.has(id));
}

/** Whether a pull left the type as it was. */
export function isEmpty(change: ChangeList): boolean {
  return change.added.length + change.modified.length + change.removed.length === 0;
}
