import { sql } from 'kysely';
import type { Instant } from '../../core/clock.ts';
import type { Event } from '../../core/ports/feed.ts';
import type { Store } from '../../core/ports/store.ts';
import { EVENT_KIND_SET, member, toNumber } from './columns.ts';
import type { Session } from './session.ts';
import type { Db } from './tables.ts';

/** Any number that no other lock of this database uses: it puts the writers of events in a row. */
const EVENTS_LOCK = 7_370_001;

/** The event feed, read. */
export function events({ session }: { readonly session: Session }): Pick<Store, 'events'> {
  return {
    events: ({ after, limit }) =>
      session.query(async (db) => {
        const rows = await db
          .selectFrom('events')
          .selectAll()
          .where('cursor', '>', after)
          .orderBy('cursor')
          .limit(limit)
          .execute();
        return rows.map((row) => ({
          cursor: toNumber(row.cursor),
          at: row.at,
          kind: member(EVENT_KIND_SET, row.kind),
          authorizationId: row.authorization_id,
          source: row.source,
          reason: row.reason,
          endsAt: row.ends_at,
          daysLeft: row.days_left,
        }));
      }),
  };
}

/**
 * Writes an event inside the transaction of what it tells. Writers wait for each other until they commit: a cursor drawn earlier and committed later
 * would appear behind readers who have passed it. Events are rare, so the wait is short.
 */
export async function appendEvent({
  tx,
  event: { at, kind, authorizationId, source, reason, endsAt = null, daysLeft = null },
}: {
  readonly tx: Db;
  readonly event: Pick<Event, 'kind' | 'authorizationId' | 'source' | 'reason'> & {
    readonly at: Instant;
    readonly endsAt?: Instant | null;
    readonly daysLeft?: number | null;
  };
}): Promise<void> {
  await sql`select pg_advisory_xact_lock(${EVENTS_LOCK})`.execute(tx);
  await tx
    .insertInto('events')
    .values({ at, kind, authorization_id: authorizationId, source, reason, ends_at: endsAt, days_left: daysLeft })
    .execute();
}
