/** Where one stored resource lies: its keyed hash, the pack that holds it, and its bytes' place in there. */
export type Place = { readonly hash: string; readonly pack: string; readonly offset: number; readonly length: number };

/** What one pull changed in one resource type; ids only. */
export type ChangeList = {
  readonly type: string;
  readonly added: readonly string[];
  readonly modified: readonly string[];
  readonly removed: readonly string[];
};

/** Whether a pull left the type as it was. */
export function isEmpty(change: ChangeList): boolean {
  return change.added.length + change.modified.length + change.removed.length === 0;
}
