import { type ChangeList, isEmpty } from '../core/changes.ts';
import type { CommitResult, SealedManifest } from '../core/ports/store.ts';
import type { DataKey } from '../core/ports/vault.ts';
import type { PullState } from '../core/pull-state.ts';
import type { Context } from './context.ts';
import type { Held } from './lease.ts';
import { sealManifest } from './manifest.ts';
import type { PackWriter } from './pack-writer.ts';
import { sealPart } from './pull-journal.ts';
import type { Shelf } from './shelf.ts';

/** Makes changed manifests visible together with the change lists that tell of them, in one fenced transaction: the only way into the change feed. */
export async function commitPublication({
  context: { codec, store, clock },
  held,
  key,
  shelves,
  packs,
  droppedPacks,
  lists,
  state,
  ended,
}: {
  readonly context: Context;
  readonly held: Held;
  readonly key: DataKey;
  readonly shelves: readonly Shelf[];
  readonly packs: PackWriter;
  readonly droppedPacks: readonly string[];
  readonly lists: readonly ChangeList[];
  readonly state: PullState;
  /** The pull is over, and its journal pages go. */
  readonly ended: boolean;
}): Promise<CommitResult> {
  const at = clock.now();
  const dirty = shelves.filter(({ dirty: changed }) => changed);
  const told = lists.filter((list) => !isEmpty(list));
  const manifests: SealedManifest[] = [];
  // One after the other: a manifest of 100,000 resources is some 10 MB of text, and all of them at once stood in memory together.
  for (const { type, manifest } of dirty) manifests.push(await sealManifest({ codec, key, type, manifest }));
  return store.commitRecords({
    ...held.fence,
    packs: await packs.take({ all: true }),
    droppedPacks,
    manifests,
    changes: told.map((list) => ({ at, sealed: sealChange({ key, at, list }) })),
    journal: { state: await sealPart({ codec, key, part: 'state', value: state }), page: null, ended },
  });
}

/** Seals a change list; bound to its instant, so that a list cannot be moved to another place in the stream. */
function sealChange({
  key,
  at,
  list,
}: {
  readonly key: DataKey;
  readonly at: number;
  readonly list: ChangeList;
}): Uint8Array {
  return key.seal({ purpose: 'changes', context: `${at}`, bytes: new TextEncoder().encode(JSON.stringify(list)) });
}
