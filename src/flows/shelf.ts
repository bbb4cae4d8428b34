import type { JournalPage } from '../contract/journal.ts';
import type { Place } from '../core/changes.ts';
import { createPlaceTable, MARK, type Mark, type PlaceTable } from '../core/place-table.ts';

/** One resource type of one pull: where its resources lie, and, as marks, which were seen and what is not published yet. */
export type Shelf = {
  readonly type: string;
  readonly manifest: PlaceTable;
  /** The stored manifest differs from this one. */
  dirty: boolean;
};

/** All shelves of one pull, and what has happened on them since the last checkpoint. */
export type Shelves = {
  readonly of: (type: string) => Shelf;
  readonly all: () => readonly Shelf[];
  readonly see: (shelf: Shelf, id: string, row: number) => void;
  /** Where a resource that was seen lies from now on, and what that is to whoever follows the changes. */
  readonly put: (shelf: Shelf, id: string, place: Place, change: Change) => void;
  /**
   * What is to be written down now; empty afterwards. In the middle of a page what was seen waits, since a crash reads that page again, and so does what lies
   * in the pack that is still being filled.
   */
  readonly takePage: (page: {
    readonly pullId: string;
    readonly inMidPage?: { readonly openPack: string | null };
  }) => JournalPage;
};

type Change = 'added' | 'modified' | null;
type Stored = { readonly type: string; readonly id: string; readonly place: Place; readonly change: Change };
type Delta = { readonly seen: Map<string, string[]>; readonly stored: readonly Stored[] };

/**
 * Makes the shelves from the stored manifests and the journal that a crash left. What it had seen counts only for the pull that is gone on with; what it had
 * stored and not published is published by whichever pull ends first.
 */
export function createShelves({
  stored,
  pages,
  resumed,
}: {
  readonly stored: ReadonlyMap<string, PlaceTable>;
  readonly pages: readonly JournalPage[];
  /** The id of the pull that is gone on with, if one is. */
  readonly resumed: string | null;
}): Shelves {
  const shelves = new Map<string, Shelf>();
  const of = (type: string): Shelf => {
    const kept = shelves.get(type) ?? newShelf(type, stored.get(type) ?? createPlaceTable());
    shelves.set(type, kept);
    return kept;
  };
  for (const type of stored.keys()) of(type);
  for (const page of pages) replay({ page, of, counts: page.pullId === resumed });
  let seen = new Map<string, string[]>();
  let fresh: Stored[] = [];
  const see: Shelves['see'] = ({ manifest, type }, id, row) => {
    manifest.mark(row, MARK.SEEN);
    push(seen, type, id);
  };
  return {
    of,
    all: () => [...shelves.values()],
    see,
    put: (shelf, id, place, change) => {
      const { manifest, type } = shelf;
      const row = manifest.put(id, place);
      shelf.dirty = true;
      see(shelf, id, row);
      // What was added and never published is still new, whatever has happened to it since.
      const known = change === 'modified' && manifest.isMarked(row, MARK.ADDED) ? null : change;
      if (known !== null) manifest.mark(row, known === 'added' ? MARK.ADDED : MARK.MODIFIED);
      fresh.push({ type, id, place, change: known });
    },
    takePage: ({ pullId, inMidPage }) => {
      const stays = ({ place }: Stored) => inMidPage !== undefined && place.pack === inMidPage.openPack;
      const page = pageOf({
        pullId,
        seen: inMidPage === undefined ? seen : new Map(),
        stored: fresh.filter((one) => !stays(one)),
      });
      fresh = fresh.filter(stays);
      if (inMidPage === undefined) seen = new Map();
      return page;
    },
  };
}

function replay({
  page,
  of,
  counts,
}: {
  readonly page: JournalPage;
  readonly of: (type: string) => Shelf;
  readonly counts: boolean;
}): void {
  for (const [type, id, place] of page.places) {
    const shelf = of(type);
    shelf.manifest.put(id, place);
    shelf.dirty = true;
  }
  const markAll = (idsByType: JournalPage['seen'], mark: Mark): void => {
    for (const [type, ids] of Object.entries(idsByType)) markEach({ manifest: of(type).manifest, ids, mark });
  };
  markAll(page.added, MARK.ADDED);
  markAll(page.modified, MARK.MODIFIED);
  if (counts) markAll(page.seen, MARK.SEEN);
}

function markEach({
  manifest,
  ids,
  mark,
}: {
  readonly manifest: PlaceTable;
  readonly ids: readonly string[];
  readonly mark: Mark;
}): void {
  for (const id of ids) {
    const row = manifest.rowOf(id);
    if (row !== undefined) manifest.mark(row, mark);
  }
}

function newShelf(type: string, manifest: PlaceTable): Shelf {
  return { type, manifest, dirty: false };
}

function pageOf({ pullId, seen, stored }: Delta & { readonly pullId: string }): JournalPage {
  const changed = { added: new Map<string, string[]>(), modified: new Map<string, string[]>() };
  for (const { type, id, change } of stored) if (change !== null) push(changed[change], type, id);
  return {
    pullId,
    seen: Object.fromEntries(seen),
    places: stored.map(({ type, id, place }) => [type, id, place]),
    added: Object.fromEntries(changed.added),
    modified: Object.fromEntries(changed.modified),
  };
}

function push(map: Map<string, string[]>, type: string, id: string): void {
  const ids = map.get(type);
  if (ids === undefined) map.set(type, [id]);
  else ids.push(id);
}
