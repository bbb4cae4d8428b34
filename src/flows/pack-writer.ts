import type { Place } from '../core/changes.ts';
import { LIMITS } from '../core/limits.ts';
import type { SealedPack } from '../core/ports/store.ts';
import type { DataKey } from '../core/ports/vault.ts';
import type { Context } from './context.ts';
import { sealPack } from './packs.ts';

/** Fills packs with resources of all types, so that small types compress with the others. */
export type PackWriter = {
  /** Takes a copy of the bytes and says where they will lie. */
  readonly add: (bytes: Uint8Array) => Omit<Place, 'hash'>;
  /** Whether a pack is full and waits to be written. */
  readonly isFull: () => boolean;
  /** The sealed packs so far, the open one included if `all`. Each is given once. */
  readonly take: (which: { readonly all: boolean }) => Promise<readonly SealedPack[]>;
  /** Bytes, before compression, of every pack that was begun here. */
  readonly sizes: () => Readonly<Record<string, number>>;
  /** The pack that is being filled, if one is: what lies in it is not among those that are given unless `all` are asked for. */
  readonly openPack: () => string | null;
  readonly isEmpty: () => boolean;
  /** What to wait for before more is added, where packs fill faster than they are sealed; null where there is room. */
  readonly room: () => Promise<unknown> | null;
};

/** Packs that are compressed and sealed at a time, beside the filling of the next one. A second one brought no speed, and costs its 8 MiB. */
const SEALING_MAX = 1;
/** What a pack's buffer begins with; it doubles from there, and then serves the next packs. */
const BUFFER_FIRST_BYTES = 64 * 1_024;
/** A pack closes with the resource that fills it, which is seldom larger than this: a buffer that doubled once more would be half empty. */
const BUFFER_FULL_BYTES = LIMITS.packTargetBytes + 256 * 1_024;

/**
 * Begins with nothing. Resources are copied into one buffer that is used again for the next pack: small ones, one for each resource, would lie about
 * until somebody collects them, some hundred MB in a large pull.
 */
export function createPackWriter({ context, key }: { readonly context: Context; readonly key: DataKey }): PackWriter {
  const sizes: Record<string, number> = {};
  const underWay = new Set<Promise<SealedPack>>();
  let sealing: Promise<SealedPack>[] = [];
  let spare: Uint8Array = new Uint8Array(BUFFER_FIRST_BYTES);
  let open: OpenPack | null = null;
  const begin = (): OpenPack => {
    const pack = { id: context.entropy.id(), buffer: spare, bytes: 0 };
    spare = new Uint8Array();
    return pack;
  };
  const close = (): void => {
    if (open === null) return;
    const { id, buffer, bytes } = open;
    open = null;
    const sealed = sealPack({ codec: context.codec, key, id, plain: buffer.subarray(0, bytes) });
    underWay.add(sealed);
    const done = (): void => {
      underWay.delete(sealed);
      if (buffer.length > spare.length) spare = buffer;
    };
    // Whoever takes it hears of a failure; until then it is no unhandled one.
    sealed.then(done, done);
    sealing.push(sealed);
  };
  return {
    add: (bytes) => {
      open ??= begin();
      const place = { pack: open.id, offset: open.bytes, length: bytes.length };
      append(open, bytes);
      sizes[open.id] = open.bytes;
      if (open.bytes >= LIMITS.packTargetBytes) close();
      return place;
    },
    isFull: () => sealing.length > 0,
    take: async ({ all }) => {
      if (all) close();
      const taken = sealing;
      sealing = [];
      return Promise.all(taken);
    },
    sizes: () => sizes,
    openPack: () => open?.id ?? null,
    isEmpty: () => sealing.length === 0 && open === null,
    room: () => (underWay.size < SEALING_MAX ? null : Promise.allSettled([...underWay].slice(0, 1))),
  };
}

type OpenPack = { readonly id: string; buffer: Uint8Array; bytes: number };

function append(pack: OpenPack, bytes: Uint8Array): void {
  const needed = pack.bytes + bytes.length;
  if (needed > pack.buffer.length) {
    const doubled = Math.min(2 * pack.buffer.length, BUFFER_FULL_BYTES);
    const larger = new Uint8Array(Math.max(needed, doubled, BUFFER_FIRST_BYTES));
    larger.set(pack.buffer.subarray(0, pack.bytes));
    pack.buffer = larger;
  }
  pack.buffer.set(bytes, pack.bytes);
  pack.bytes = needed;
}
