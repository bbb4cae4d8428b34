import type { TypesView } from '../contract/records.ts';
import type { Instant } from '../core/clock.ts';
import { openRecordsNow } from './manifest.ts';
import { openForReading, type Reader } from './open-for-reading.ts';
import { openJournal } from './pull-journal.ts';

/** What is known of each resource type that was asked for or is held, by name. */
export async function readTypes(reader: Reader): Promise<TypesView> {
  const { context, authorizationId } = reader;
  const key = await openForReading({ ...reader, action: 'read:types' });
  const { state, pages } = await openJournal({ context, key, authorizationId });
  const { manifests, cursor } = await openRecordsNow({ context, key, authorizationId });
  const names = new Set([...Object.keys(state.types), ...manifests.keys()]);
  const types = [...names].toSorted().map((resourceType) => {
    const known = state.types[resourceType];
    const suspects = known?.suspects ?? null;
    return {
      resourceType,
      result: known?.result ?? null,
      held: manifests.get(resourceType)?.size() ?? 0,
      fullAt: textOf(known?.fullAt ?? null),
      knownUntil: textOf(known?.knownUntil ?? null),
      suspected:
        suspects === null ? null : { count: suspects.ids.length, since: new Date(suspects.since).toISOString() },
    };
  });
  return { types, cursor, pulling: state.running !== null || pages.length > 0 };
}

function textOf(instant: Instant | null): string | null {
  return instant === null ? null : new Date(instant).toISOString();
}
