import type { JournalPage } from '../contract/journal.ts';
import type { Place } from '../core/changes.ts';

/** One resource type of one pull: where its resources lie, which were seen, and what is not published yet. */
export type Shelf = {
  readonly type: string;
  readonly manifest: Map<string, Place>;
  readonly seen: Set<string>;
  readonly added: Set<string>;
  readonly modified: Set<string>;
  /** The stored manifest differs from this one. */
  dirty: boolean;
};

/** All shelves of one pull, and what has happened on them since the last checkpoint. */
export type Shelves = {
  readonly of: (type: string) => Shelf;
  readonly all: () => readonly Shelf[];
  readonly see: (shelf: Shelf, id: string) => void;
  readonly put: (shelf: Shelf, id: string, place: Place, change: 'added' | 'modified' | null) => void;
  /** What is to be written down now; empty afterwards. */
  readonly takePage: (pullId: string) => JournalPage;
};

type Delta = {
  seen: Map<string, string[]>;
  places: [string, string, Place][];
  added: Map<string, string[]>;
  modified: Map<string, string[]>;
};

/**
 * Makes the shelves from the stored manifests and the journal that a crash left. What it had seen counts only for the pull that is gone on with; what it had
 * stored and not published is published by whichever pull ends first.
 */
export function createShelves({
  stored,
  pages,
  resumed,
}: {
  readonly stored: ReadonlyMap<string, Map<string, Place>>;
  readonly pages: readonly JournalPage[];
  /** The id of the pull that is gone on with, if one is. */
  readonly resumed: string | null;
}): Shelves {
  const shelves = new Map<string, Shelf>();
  const of = (type: string): Shelf => {
    const kept = shelves.get(type) ?? newShelf(type, stored.get(type) ?? new Map());
    shelves.set(type, kept);
    return kept;
  };
  for (const type of stored.keys()) of(type);
  for (const page of pages) replay({ page, of, counts: page.pullId === resumed });
  let delta = noDelta();
  return {
    of,
    all: () => [...shelves.values()],
    see: (shelf, id) => {
      shelf.seen.add(id);
      push(delta.seen, shelf.type, id);
    },
    put: (shelf, id, place, change) => {
      shelf.manifest.set(id, place);
      shelf.dirty = true;
      delta.places.push([shelf.type, id, place]);
      // What was added and never published is still new, whatever has happened to it since.
      if (change === null || (change === 'modified' && shelf.added.has(id))) return;
      shelf[change].add(id);
      push(delta[change], shelf.type, id);
    },
    takePage: (pullId) => {
      const { seen, places, added, modified } = delta;
      delta = noDelta();
      const plain = (map: Map<string, string[]>) => Object.fromEntries(map);
      return { pullId, seen: plain(seen), places, added: plain(added), modified: plain(modified) };
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
    shelf.manifest.set(id, place);
    shelf.dirty = true;
  }
  for (const [type, ids] of Object.entries(page.added)) for (const id of ids) of(type).added.add(id);
  for (const [type, ids] of Object.entries(page.modified)) for (const id of ids) of(type).modified.add(id);
  if (!counts) return;
  for (const [type, ids] of Object.entries(page.seen)) for (const id of ids) of(type).seen.add(id);
}

function newShelf(type: string, manifest: Map<string, Place>): Shelf {
  return { type, manifest, seen: new Set(), added: new Set(), modified: new Set(), dirty: false };
}

function noDelta(): Delta {
  return { seen: new Map(), places: [], added: new Map(), modified: new Map() };
}

function push(map: Map<string, string[]>, type: string, id: string): void {
  const ids = map.get(type);
  if (ids === undefined) map.set(type, [id]);
  else ids.push(id);
}
