import { canonicalForm } from '../core/canonical.ts';
import type { Place } from '../core/changes.ts';
import { LIMITS } from '../core/limits.ts';
import { MARK } from '../core/place-table.ts';
import type { CommitResult, SealedPack } from '../core/ports/store.ts';
import type { DataKey } from '../core/ports/vault.ts';
import type { PullState, RunningPull } from '../core/pull-state.ts';
import type { Context } from './context.ts';
import type { Endings } from './endings.ts';
import type { Held } from './lease.ts';
import { openManifests } from './manifest.ts';
import { createPackWriter, type PackWriter } from './pack-writer.ts';
import { createPackReader } from './packs.ts';
import { type Published, publish } from './publish.ts';
import { type Journal, sealPart } from './pull-journal.ts';
import { createShelves, type Shelf, type Shelves } from './shelf.ts';

/** What became of one resource that was offered. */
export type Offered = 'unchanged' | 'stored' | 'duplicate' | 'conflicting_duplicate' | 'not_admitted';

/** Where a pull is. */
export type Checkpoint = {
  readonly running: RunningPull;
  readonly patients: readonly string[];
  /**
   * Whether this is all there is to know. With false (a page of the request under way was faulty, or entries wait for links) the rest is known to this
   * process only: after a crash the pull begins anew, over what is stored, since a half that is taken for a whole would publish removals.
   */
  readonly isWhole: boolean;
};

/** Takes the resources of a pull one by one and stores what is new, compared with what is there. */
export type RecordWriter = {
  /**
   * Offers one resource's bytes; copied if they are kept. `admit` is asked only about bytes that are not stored already. Answers at once where it can:
   * a promise for each of 20,000 resources takes a fifth of an unchanged pull.
   */
  readonly offer: (resource: {
    readonly type: string;
    readonly id: string;
    readonly bytes: Uint8Array;
    readonly admit?: () => boolean;
  }) => Offered | Promise<Offered>;
  /** Writes down all that was taken and where the pull is, if it is time to. */
  readonly checkpoint: (value: Checkpoint & { readonly readBytes: number }) => Promise<CommitResult>;
  /** Whether so much was stored since the last time that it should not wait for the end of its page. */
  readonly isFull: () => boolean;
  /**
   * Writes down what was stored, in the middle of a page; `checkpoint` says where that page began. A page of 300 MB would else be held in memory, sealed, until
   * its end. After a crash the page is read again, and what was stored of it is known.
   */
  readonly flush: (checkpoint: Checkpoint) => Promise<CommitResult>;
  /** Ends the pull: removals, change lists, manifests, and the state, in one transaction. */
  readonly finish: (value: {
    readonly endings: Endings;
    readonly running: RunningPull;
    readonly askedTypes: readonly string[];
    readonly patients: readonly string[];
  }) => Promise<{ readonly kind: 'committed'; readonly published: Published } | { readonly kind: 'superseded' }>;
  readonly storedTypes: () => readonly string[];
  readonly seen: () => number;
};

/** Opens the stored manifests and the journal of an authorization for one pull. */
export async function openRecordWriter({
  context,
  held,
  key,
  authorizationId,
  journal,
  resumed,
}: {
  readonly context: Context;
  readonly held: Held;
  readonly key: DataKey;
  readonly authorizationId: string;
  readonly journal: Journal;
  /** The id of the pull that is gone on with, if one is. */
  readonly resumed: string | null;
}): Promise<RecordWriter> {
  const stored = await openManifests({ context, key, authorizationId });
  const storedTypes = [...stored.keys()];
  const shelves = createShelves({ stored, pages: journal.pages, resumed });
  const read = createPackReader({ context, key, authorizationId });
  const packs = createPackWriter({ context, key });
  const progress = { bytes: 0, since: context.clock.stopwatch(), seen: 0 };
  const parts = { context, held, key, authorizationId, shelves, packs, state: journal.state, read };
  return {
    storedTypes: () => storedTypes,
    seen: () => progress.seen,
    offer: ({ type, id, bytes, admit }) => {
      const shelf = shelves.of(type);
      const hash = key.mac({ purpose: 'resource', bytes });
      const { manifest } = shelf;
      const row = manifest.rowOf(id);
      const isKnown = row !== undefined && manifest.holds(row, hash);
      if (row !== undefined && manifest.isMarked(row, MARK.SEEN))
        return isKnown ? 'duplicate' : 'conflicting_duplicate';
      if (!isKnown && admit?.() === false) return 'not_admitted';
      progress.seen += 1;
      if (isKnown) {
        shelves.see(shelf, id, row);
        return 'unchanged';
      }
      if (row !== undefined) return replace({ ...parts, shelf, id, hash, place: manifest.placeAt(row), bytes });
      shelves.put(shelf, id, { hash, ...packs.add(bytes) }, 'added');
      return packs.room()?.then(() => 'stored') ?? 'stored';
    },
    checkpoint: async ({ readBytes, ...checkpoint }) => {
      progress.bytes += readBytes;
      const due = progress.bytes >= LIMITS.checkpointBytes || progress.since() >= LIMITS.checkpointEveryMs;
      if (!due && !packs.isFull()) return 'committed';
      Object.assign(progress, { bytes: 0, since: context.clock.stopwatch() });
      return writeCheckpoint({ ...parts, ...checkpoint });
    },
    isFull: packs.isFull,
    flush: (checkpoint) => writeCheckpoint({ ...parts, ...checkpoint, inMidPage: true }),
    finish: (end) => publish({ ...parts, ...end }),
  };
}

/** The noise of meta.lastUpdated and of signed links is no change (peers, F-20); the bytes are kept all the same, as they were sent last. */
async function replace({
  shelves,
  packs,
  read,
  shelf,
  id,
  hash,
  place,
  bytes,
}: {
  readonly shelves: Shelves;
  readonly packs: PackWriter;
  readonly read: ReturnType<typeof createPackReader>;
  readonly shelf: Shelf;
  readonly id: string;
  readonly hash: string;
  readonly place: Place;
  readonly bytes: Uint8Array;
}): Promise<Offered> {
  const same = canonicalForm(await read(place)) === canonicalForm(bytes);
  shelves.put(shelf, id, { hash, ...packs.add(bytes) }, same ? null : 'modified');
  await packs.room();
  return 'stored';
}

async function writeCheckpoint({
  context,
  held,
  key,
  shelves,
  packs,
  state,
  running,
  patients,
  isWhole,
  inMidPage = false,
}: Checkpoint & {
  readonly inMidPage?: boolean;
  readonly context: Context;
  readonly held: Held;
  readonly key: DataKey;
  readonly shelves: Shelves;
  readonly packs: PackWriter;
  readonly state: PullState;
}): Promise<CommitResult> {
  const { codec, store } = context;
  const written: readonly SealedPack[] = await packs.take({ all: !inMidPage });
  const openPack = packs.openPack();
  const sizes = { ...state.packs, ...packs.sizes() };
  const next: PullState = { ...state, running: isWhole ? running : null, packs: sizes, patients };
  const page = shelves.takePage({ pullId: running.id, ...(inMidPage ? { inMidPage: { openPack } } : {}) });
  return store.commitRecords({
    ...held.fence,
    packs: written,
    droppedPacks: [],
    manifests: [],
    changes: [],
    journal: {
      state: await sealPart({ codec, key, part: 'state', value: next }),
      page: await sealPart({ codec, key, part: 'page', value: page }),
      ended: false,
    },
  });
}
