import { manifestSchema } from '../contract/journal.ts';
import { PerennialError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { createPlaceTable, type PlaceTable } from '../core/place-table.ts';
import type { SealedManifest } from '../core/ports/store.ts';
import type { DataKey } from '../core/ports/vault.ts';
import type { Context } from './context.ts';

/** The row of a type's manifest: a keyed hash, so that the table shows no resource type. */
function manifestKey(key: DataKey, type: string): string {
  return key.mac({ purpose: 'manifest-key', bytes: type });
}

/** Seals a manifest: which type it is for stands inside only. */
export async function sealManifest({
  codec,
  key,
  type,
  manifest,
}: {
  readonly codec: Context['codec'];
  readonly key: DataKey;
  readonly type: string;
  readonly manifest: PlaceTable;
}): Promise<SealedManifest> {
  const row = manifestKey(key, type);
  const bytes = await codec.compress(new TextEncoder().encode(JSON.stringify({ type, ...manifest.columns() })));
  return { key: row, sealed: key.seal({ purpose: 'manifest', context: row, bytes }) };
}

/** @throws PerennialError `unseal_failed` for a row that is not what {@link sealManifest} wrote. */
async function openManifest({
  codec,
  key,
  row,
}: {
  readonly codec: Context['codec'];
  readonly key: DataKey;
  readonly row: SealedManifest;
}): Promise<{ readonly type: string; readonly manifest: PlaceTable }> {
  const bytes = key.unseal({ purpose: 'manifest', context: row.key, sealed: row.sealed });
  const plain = await codec.expand({ bytes, maxBytes: LIMITS.packMaxBytes });
  const parsed = manifestSchema.safeParse(JSON.parse(new TextDecoder().decode(plain)));
  if (!parsed.success) throw new PerennialError('unseal_failed');
  const { type, ...columns } = parsed.data;
  return { type, manifest: createPlaceTable(columns) };
}

type Opening = { readonly context: Context; readonly key: DataKey; readonly authorizationId: string };
export type Manifests = Map<string, PlaceTable>;

/** All manifests of an authorization, by resource type. */
export async function openManifests({ context, key, authorizationId }: Opening): Promise<Manifests> {
  return openRows({ context, key, rows: await context.store.manifests(authorizationId) });
}

/** All manifests with the cursor of the newest change in them. */
export async function openRecordsNow({
  context,
  key,
  authorizationId,
}: Opening): Promise<{ readonly manifests: Manifests; readonly cursor: number }> {
  const { manifests: rows, cursor } = await context.store.recordsNow(authorizationId);
  return { manifests: await openRows({ context, key, rows }), cursor };
}

async function openRows({
  context,
  key,
  rows,
}: Pick<Opening, 'context' | 'key'> & { readonly rows: readonly SealedManifest[] }): Promise<Manifests> {
  const byType: Manifests = new Map();
  for (const row of rows) {
    const { type, manifest } = await openManifest({ codec: context.codec, key, row });
    byType.set(type, manifest);
  }
  return byType;
}
