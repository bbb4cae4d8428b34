import { canonicalForm } from '../core/canonical.ts';
import { type ChangeList, isEmpty, type Place, removedIds } from '../core/changes.ts';
import { LIMITS } from '../core/limits.ts';
import type { CommitResult, SealedPack } from '../core/ports/store.ts';
import type { DataKey } from '../core/ports/vault.ts';
import type { Context } from './context.ts';
import type { Held } from './lease.ts';
import { openManifests, sealManifest } from './manifest.ts';
import { createPackReader, sealPack } from './packs.ts';

/** What a pull has changed so far, over all types. */
export type Tally = {
  readonly added: number;
  readonly modified: number;
  readonly removed: number;
  readonly seen: number;
};

/** Takes the resources of a pull one by one and stores what is new, compared with what is there. */
export type RecordWriter = {
  /** Offers one resource's bytes. They are copied if they are kept. */
  readonly offer: (resource: {
    readonly type: string;
    readonly id: string;
    readonly bytes: Uint8Array;
  }) => Promise<CommitResult>;
  /** Ends one type: what was not seen is removed if the type is complete; all of it in one transaction with its change list. */
  readonly finish: (type: { readonly type: string; readonly complete: boolean }) => Promise<CommitResult>;
  /** The types that are stored or were offered. */
  readonly types: () => readonly string[];
  readonly tally: () => Tally;
};

type Shelf = {
  readonly type: string;
  readonly manifest: Map<string, Place>;
  readonly seen: Set<string>;
  pending: { readonly id: string; readonly hash: string; readonly bytes: Uint8Array }[];
  pendingBytes: number;
  added: string[];
  modified: string[];
  rehashed: boolean;
};

/** Opens the stored manifests of an authorization for one pull. */
export async function openRecordWriter({
  context,
  held,
  key,
  authorizationId,
}: {
  readonly context: Context;
  readonly held: Held;
  readonly key: DataKey;
  readonly authorizationId: string;
}): Promise<RecordWriter> {
  const stored = await openManifests({ context, key, authorizationId });
  const read = createPackReader({ context, key, authorizationId });
  const shelves = new Map<string, Shelf>();
  const tally = { added: 0, modified: 0, removed: 0, seen: 0 };
  const shelfOf = (type: string): Shelf => {
    const kept = shelves.get(type);
    if (kept !== undefined) return kept;
    const shelf = newShelf(type, stored.get(type) ?? new Map<string, Place>());
    shelves.set(type, shelf);
    return shelf;
  };

  const flush = async (shelf: Shelf, removed: readonly string[]): Promise<CommitResult> => {
    const packs = await packPending({ context, key, shelf });
    for (const id of removed) shelf.manifest.delete(id);
    const list: ChangeList = { type: shelf.type, added: shelf.added, modified: shelf.modified, removed };
    if (isEmpty(list) && packs.length === 0 && !shelf.rehashed) return 'committed';
    const at = context.clock.now();
    const result = await context.store.commitRecords({
      ...held.fence,
      packs,
      manifest: await sealManifest({ codec: context.codec, key, type: shelf.type, manifest: shelf.manifest }),
      change: isEmpty(list) ? null : { at, sealed: sealChange({ key, at, list }) },
    });
    tally.added += list.added.length;
    tally.modified += list.modified.length;
    tally.removed += removed.length;
    Object.assign(shelf, { added: [], modified: [], rehashed: false });
    return result;
  };

  return {
    offer: async ({ type, id, bytes }) => {
      const shelf = shelfOf(type);
      if (shelf.seen.has(id)) return 'committed';
      shelf.seen.add(id);
      tally.seen += 1;
      const hash = key.mac({ purpose: 'resource', bytes });
      const place = shelf.manifest.get(id);
      if (place?.hash === hash) return 'committed';
      if (place !== undefined && canonicalForm(await read(place)) === canonicalForm(bytes)) {
        // The noise of meta.lastUpdated is no change (peers, F-20); the new hash spares the next pull this comparison.
        shelf.manifest.set(id, { ...place, hash });
        shelf.rehashed = true;
        return 'committed';
      }
      (place === undefined ? shelf.added : shelf.modified).push(id);
      shelf.pending.push({ id, hash, bytes: bytes.slice() });
      shelf.pendingBytes += bytes.length;
      return shelf.pendingBytes >= LIMITS.packTargetBytes ? flush(shelf, []) : 'committed';
    },
    finish: async ({ type, complete }) => {
      const shelf = shelfOf(type);
      return flush(shelf, removedIds({ stored: shelf.manifest, seen: shelf.seen, complete }));
    },
    types: () => [...new Set([...stored.keys(), ...shelves.keys()])],
    tally: () => ({ ...tally }),
  };
}

function newShelf(type: string, manifest: Map<string, Place>): Shelf {
  return {
    type,
    manifest,
    seen: new Set(),
    pending: [],
    pendingBytes: 0,
    added: [],
    modified: [],
    rehashed: false,
  };
}

async function packPending({
  context,
  key,
  shelf,
}: {
  readonly context: Context;
  readonly key: DataKey;
  readonly shelf: Shelf;
}): Promise<readonly SealedPack[]> {
  if (shelf.pending.length === 0) return [];
  const pack = context.entropy.id();
  let offset = 0;
  for (const { id, hash, bytes } of shelf.pending) {
    shelf.manifest.set(id, { hash, pack, offset, length: bytes.length });
    offset += bytes.length;
  }
  const sealed = await sealPack({
    codec: context.codec,
    key,
    id: pack,
    parts: shelf.pending.map(({ bytes }) => bytes),
  });
  shelf.pending = [];
  shelf.pendingBytes = 0;
  return [sealed];
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
