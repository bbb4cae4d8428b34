import type { RecordsRead } from '../contract/records.ts';
import type { ChangeView } from '../contract/wire.ts';
import { PerennialError } from '../core/errors.ts';
import type { SealedChange } from '../core/ports/store.ts';
import type { DataKey } from '../core/ports/vault.ts';
import { openRecordsNow } from './manifest.ts';
import { openForReading, type Reader } from './open-for-reading.ts';
import { streamRecords } from './stream-records.ts';

/**
 * The stored resources, byte for byte as they were sent, pack by pack. `types` narrows to some resource types.
 * @throws PerennialError `cursor_moved` for an `asOf` that is not the newest cursor: what was stored before is not kept, and to answer with it would be wrong.
 */
export async function readRecords({
  types,
  asOf,
  ...reader
}: Reader & { readonly types?: readonly string[]; readonly asOf?: number }): Promise<RecordsRead> {
  const { context, authorizationId } = reader;
  const key = await openForReading({ ...reader, action: 'read:records' });
  const { manifests, cursor } = await openRecordsNow({ context, key, authorizationId });
  if (asOf !== undefined && asOf !== cursor) {
    throw new PerennialError('cursor_moved', { field: `asOf; the records are as of ${cursor}` });
  }
  const wanted = types === undefined ? null : new Set(types);
  const authorization = await context.store.get(authorizationId);
  const source = authorization === null ? undefined : context.sources.get(authorization.source);
  return {
    cursor,
    fhirBaseUrl: source?.fhirBaseUrl ?? null,
    resources: streamRecords({ context, key, authorizationId, manifests, types: wanted }),
  };
}

/** The change lists after a cursor, oldest first; ids only. */
export async function readChanges({
  after,
  limit,
  ...reader
}: Reader & { readonly after: number; readonly limit: number }): Promise<readonly ChangeView[]> {
  const key = await openForReading({ ...reader, action: 'read:changes' });
  const rows = await reader.context.store.changes({ authorizationId: reader.authorizationId, after, limit });
  return rows.map((row) => openChange({ key, row }));
}

function openChange({ key, row }: { readonly key: DataKey; readonly row: SealedChange }): ChangeView {
  const bytes = key.unseal({ purpose: 'changes', context: `${row.at}`, sealed: row.sealed });
  const list = new Map<string, unknown>(Object.entries(JSON.parse(new TextDecoder().decode(bytes))));
  const ids = (field: string): string[] => {
    const value = list.get(field);
    if (!Array.isArray(value)) throw new PerennialError('unseal_failed');
    return value.filter((id) => typeof id === 'string');
  };
  const type = list.get('type');
  if (typeof type !== 'string') throw new PerennialError('unseal_failed');
  return {
    cursor: row.cursor,
    at: new Date(row.at).toISOString(),
    resourceType: type,
    added: ids('added'),
    modified: ids('modified'),
    removed: ids('removed'),
  };
}
