import type { ChangeList } from '../core/changes.ts';
import { MARK, type Mark, type PlaceTable } from '../core/place-table.ts';
import type { DataKey } from '../core/ports/vault.ts';
import { decideRemoval, type PullState, type RunningPull, stillSuspected, type TypeState } from '../core/pull-state.ts';
import { commitPublication } from './commit-publication.ts';
import { compact } from './compact.ts';
import type { Context } from './context.ts';
import type { Endings } from './endings.ts';
import type { Held } from './lease.ts';
import type { PackWriter } from './pack-writer.ts';
import type { createPackReader } from './packs.ts';
import type { Shelf, Shelves } from './shelf.ts';

/** What a pull has changed, over all types, and how many removals it holds back. */
export type Published = {
  readonly added: number;
  readonly modified: number;
  readonly removed: number;
  readonly suspected: number;
};

/**
 * Ends a pull in one transaction: what was stored and what is gone become visible together with their change lists, one for each type, and the journal ends.
 * A crash before it publishes nothing, one after it has nothing left to do.
 */
export async function publish({
  context,
  held,
  key,
  shelves,
  packs,
  state,
  read,
  endings,
  running,
  askedTypes,
  patients,
}: {
  readonly context: Context;
  readonly held: Held;
  readonly key: DataKey;
  readonly shelves: Shelves;
  readonly packs: PackWriter;
  readonly state: PullState;
  readonly read: ReturnType<typeof createPackReader>;
  readonly endings: Endings;
  readonly running: RunningPull;
  /** The types that the plan asked for, also those of which nothing came. */
  readonly askedTypes: readonly string[];
  readonly patients: readonly string[];
}): Promise<{ readonly kind: 'committed'; readonly published: Published } | { readonly kind: 'superseded' }> {
  const ended = shelves.all().map((shelf) => endType({ shelf, state, endings, startedAt: running.startedAt }));
  const sizes = { ...state.packs, ...packs.sizes() };
  const droppedPacks = await compact({ shelves: shelves.all(), sizes, packs, read });
  const { startedAt } = running;
  const asked = askedTypes.map((type) => {
    return [type, stateOf({ before: state.types[type], ending: endings.of(type), startedAt })] as const;
  });
  const seen = ended.map(({ list, known }) => [list.type, known] as const);
  const types = { ...state.types, ...Object.fromEntries(asked), ...Object.fromEntries(seen) };
  const kept = Object.entries({ ...sizes, ...packs.sizes() }).filter(([id]) => !droppedPacks.includes(id));
  const next: PullState = { types, running: null, packs: Object.fromEntries(kept), patients };
  const lists = ended.map(({ list }) => list);
  const result = await commitPublication({
    context,
    held,
    key,
    shelves: shelves.all(),
    packs,
    droppedPacks,
    lists,
    state: next,
    ended: true,
  });
  if (result === 'superseded') return { kind: 'superseded' };
  return { kind: 'committed', published: publishedOf(ended) };
}

type Ended = { readonly list: ChangeList; readonly known: TypeState };

/** What one type's pull comes to: its removals, believed or held, and what is known of it from now on. */
function endType({
  shelf,
  state,
  endings,
  startedAt,
}: {
  readonly shelf: Shelf;
  readonly state: PullState;
  readonly endings: Endings;
  readonly startedAt: number;
}): Ended {
  const { type, manifest } = shelf;
  const before = state.types[type];
  const ending = endings.of(type);
  const known = stateOf({ before, ending, startedAt });
  if (ending.result !== 'complete' || !ending.full) {
    const suspects = stillSuspected({ suspects: known.suspects, isSeen: (id) => isMarked(manifest, id, MARK.SEEN) });
    return { list: listOf({ type, manifest, removed: [] }), known: { ...known, suspects } };
  }
  // Only here: half a page taken for a whole one would publish deaths that never happened (peers, F-19).
  const missing = manifest.idsWhere(MARK.SEEN, false);
  const decision = decideRemoval({ missing, stored: manifest.size(), before: before?.suspects ?? null, startedAt });
  // What came and went between two publications was never there for anybody.
  const removed = decision.remove.filter((id) => !isMarked(manifest, id, MARK.ADDED));
  for (const id of decision.remove) {
    manifest.remove(id);
    shelf.dirty = true;
  }
  return { list: listOf({ type, manifest, removed }), known: { ...known, suspects: decision.suspects } };
}

function isMarked(manifest: PlaceTable, id: string, mark: Mark): boolean {
  const row = manifest.rowOf(id);
  return row !== undefined && manifest.isMarked(row, mark);
}

function listOf({
  type,
  manifest,
  removed,
}: Pick<Shelf, 'type' | 'manifest'> & { readonly removed: readonly string[] }): ChangeList {
  return {
    type,
    added: manifest.idsWhere(MARK.ADDED, true),
    modified: manifest.idsWhere(MARK.MODIFIED, true),
    removed,
  };
}

function stateOf({
  before,
  ending: { result, full },
  startedAt,
}: {
  readonly before: TypeState | undefined;
  readonly ending: ReturnType<Endings['of']>;
  readonly startedAt: number;
}): TypeState {
  const complete = result === 'complete';
  return {
    result,
    fullAt: complete && full ? startedAt : (before?.fullAt ?? null),
    knownUntil: complete ? startedAt : (before?.knownUntil ?? null),
    suspects: before?.suspects ?? null,
  };
}

function publishedOf(ended: readonly Ended[]): Published {
  const sum = (count: (one: Ended) => number) => ended.reduce((total, one) => total + count(one), 0);
  return {
    added: sum(({ list }) => list.added.length),
    modified: sum(({ list }) => list.modified.length),
    removed: sum(({ list }) => list.removed.length),
    suspected: sum(({ known }) => known.suspects?.ids.length ?? 0),
  };
}
