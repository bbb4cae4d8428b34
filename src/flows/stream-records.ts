import type { StoredResource } from '../contract/records.ts';
import type { Place } from '../core/changes.ts';
import { PerennialError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import type { PlaceTable } from '../core/place-table.ts';
import type { DataKey } from '../core/ports/vault.ts';
import type { Context } from './context.ts';
import { type Manifests, openManifests } from './manifest.ts';
import { assertReadable } from './open-for-reading.ts';
import { createPackFinder } from './packs.ts';

type Lying = { readonly type: string; readonly id: string; readonly place: Place };
type Records = { readonly context: Context; readonly key: DataKey; readonly authorizationId: string };

/**
 * The resources of some manifests, pack by pack, each once. A pull may move them while somebody reads: then what was not sent yet is looked up again and gone
 * on with from where it lies now, as it is now; what the pull changed in it, the changes after the read's cursor tell too.
 */
export async function* streamRecords({
  manifests,
  types,
  ...records
}: Records & {
  readonly manifests: Manifests;
  readonly types: ReadonlySet<string> | null;
}): AsyncGenerator<StoredResource> {
  const find = createPackFinder(records);
  let left = inPackOrder([...manifests].flatMap(([type, manifest]) => lyingOf({ type, manifest, types })));
  for (let moves = 0; moves <= LIMITS.packMovesMax; ) {
    let sent = 0;
    for (const { type, id, place } of left) {
      const bytes = await find(place);
      if (bytes === null) break;
      sent += 1;
      yield { type, id, bytes };
    }
    if (sent === left.length) return;
    moves = sent > 0 ? 1 : moves + 1;
    left = await lookUpAgain({ ...records, left: left.slice(sent) });
  }
  throw new PerennialError('internal', { field: 'pack' });
}

function lyingOf({
  type,
  manifest,
  types,
}: {
  readonly type: string;
  readonly manifest: PlaceTable;
  readonly types: ReadonlySet<string> | null;
}): readonly Lying[] {
  return types === null || types.has(type) ? [...manifest.entries()].map(([id, place]) => ({ type, id, place })) : [];
}

function inPackOrder(lying: readonly Lying[]): readonly Lying[] {
  return lying.toSorted(
    ({ place: left }, { place: right }) => left.pack.localeCompare(right.pack) || left.offset - right.offset,
  );
}

async function lookUpAgain({
  left,
  ...records
}: Records & { readonly left: readonly Lying[] }): Promise<readonly Lying[]> {
  const manifests = await openManifests(records);
  // After the manifests: where a purge has taken them, what is left must not look like a read that came to its end.
  await assertReadable(records);
  return inPackOrder(
    left.flatMap(({ type, id }) => {
      const manifest = manifests.get(type);
      const row = manifest?.rowOf(id);
      return manifest === undefined || row === undefined ? [] : [{ type, id, place: manifest.placeAt(row) }];
    }),
  );
}
