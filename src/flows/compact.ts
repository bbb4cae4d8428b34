import { LIMITS } from '../core/limits.ts';
import type { PackWriter } from './pack-writer.ts';
import type { createPackReader } from './packs.ts';
import type { Shelf } from './shelf.ts';

/**
 * Moves what is alive out of packs of which more than half is dead, and names the packs that may go: those, and the ones of which nothing is alive. Some at
 * a time, the deadest first: the rest follows with the next pulls.
 */
export async function compact({
  shelves,
  sizes,
  packs,
  read,
}: {
  readonly shelves: readonly Shelf[];
  readonly sizes: Readonly<Record<string, number>>;
  readonly packs: PackWriter;
  readonly read: ReturnType<typeof createPackReader>;
}): Promise<readonly string[]> {
  const fresh = new Set(Object.keys(packs.sizes()));
  const alive = aliveBytes(shelves);
  const share = (id: string) => (alive.get(id) ?? 0) / Math.max(1, sizes[id] ?? 1);
  const sparse = Object.keys(sizes)
    .filter((id) => !fresh.has(id) && share(id) < LIMITS.packAliveShare)
    .sort((left, right) => share(left) - share(right))
    .slice(0, LIMITS.compactPacksMax);
  const going = new Set(sparse);
  for (const shelf of shelves) {
    if (going.size === 0) break;
    const moving = [...shelf.manifest.entries()].filter(([, { pack }]) => going.has(pack));
    for (const [id, place] of moving) {
      shelf.manifest.put(id, { hash: place.hash, ...packs.add(await read(place)) });
      shelf.dirty = true;
    }
  }
  return sparse;
}

function aliveBytes(shelves: readonly Shelf[]): ReadonlyMap<string, number> {
  const alive = new Map<string, number>();
  for (const { manifest } of shelves) {
    for (const [pack, bytes] of manifest.bytesByPack()) alive.set(pack, (alive.get(pack) ?? 0) + bytes);
  }
  return alive;
}
