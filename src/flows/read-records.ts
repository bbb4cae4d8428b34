import type { ChangeView } from '../contract/wire.ts';
import { type Authorization, isReadable } from '../core/authorization.ts';
import { PerennialError } from '../core/errors.ts';
import type { SealedChange } from '../core/ports/store.ts';
import type { DataKey } from '../core/ports/vault.ts';
import type { Context } from './context.ts';
import { openManifests } from './manifest.ts';
import { createPackReader } from './packs.ts';

type Reading = { readonly context: Context; readonly authorizationId: string; readonly actor: string };

/** Reads refuse from the purge deadline on, be the purge late or not; every read stands in the audit trail. */
async function openForReading({
  context: { store, vault, clock },
  authorizationId,
  actor,
  action,
}: Reading & { readonly action: 'read:records' | 'read:changes' }): Promise<DataKey> {
  const authorization: Authorization | null = await store.get(authorizationId);
  if (authorization === null) throw new PerennialError('authorization_not_found');
  const at = clock.now();
  if (!isReadable(authorization, at)) throw new PerennialError('authorization_ended');
  await store.appendAudit({ at, authorizationId, actor, action, reason: null });
  return vault.open(authorizationId);
}

/** The stored resources, byte for byte as they were sent, pack by pack. `type` narrows to one resource type. */
export async function readRecords({
  type: wanted,
  ...reading
}: Reading & { readonly type?: string }): Promise<AsyncIterable<Uint8Array>> {
  const { context, authorizationId } = reading;
  const key = await openForReading({ ...reading, action: 'read:records' });
  const manifests = await openManifests({ context, key, authorizationId });
  const read = createPackReader({ context, key, authorizationId });
  const places = [...manifests]
    .filter(([type]) => wanted === undefined || type === wanted)
    .flatMap(([, manifest]) => [...manifest.values()])
    .sort((left, right) => left.pack.localeCompare(right.pack) || left.offset - right.offset);
  async function* bytes(): AsyncGenerator<Uint8Array> {
    for (const place of places) yield await read(place);
  }
  return bytes();
}

/** The change lists after a cursor, oldest first; ids only. */
export async function readChanges({
  after,
  limit,
  ...reading
}: Reading & { readonly after: number; readonly limit: number }): Promise<readonly ChangeView[]> {
  const key = await openForReading({ ...reading, action: 'read:changes' });
  const rows = await reading.context.store.changes({ authorizationId: reading.authorizationId, after, limit });
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
