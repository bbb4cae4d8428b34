import { type ExpressionBuilder, sql } from 'kysely';
import type { Store } from '../../core/ports/store.ts';
import { toAuthorization } from './authorization-row.ts';
import type { Parts } from './fenced.ts';
import type { Tables } from './tables.ts';

/** What the sweep asks for: all that should have happened and did not. */
export function sweeps({
  session,
}: Parts): Pick<Store, 'duePurges' | 'orphanIntents' | 'overdueRuns' | 'oldestFreshAsOf'> {
  return {
    duePurges: ({ now, limit }) =>
      session.query(async (db) => {
        // Two queries in one, each along its own partial index: joined by OR they would walk every authorization without a deadline.
        const { rows } = await sql<{ readonly id: string }>`
          select id from (
            (select id, purge_due_at from perennial.authorizations
              where state = 'purging' order by purge_due_at nulls first limit ${limit})
            union all
            (select id, purge_due_at from perennial.authorizations
              where state not in ('purging', 'purged') and purge_due_at <= ${now} order by purge_due_at limit ${limit})
          ) as due order by purge_due_at nulls first, id limit ${limit}`.execute(db);
        return rows.map(({ id }) => id);
      }),
    orphanIntents: ({ limit }) =>
      session.query(async (db) => {
        const { rows } = await sql<{ readonly id: string }>`
          select i.authorization_id as id from perennial.intents as i
            left join perennial.leases as l on l.authorization_id = i.authorization_id
          where not i.parked and (l.authorization_id is null or l.expires_at <= clock_timestamp())
          order by i.started_at, i.authorization_id limit ${limit}`.execute(db);
        return rows.map(({ id }) => id);
      }),
    overdueRuns: ({ before, limit }) =>
      session.query(async (db) => {
        const rows = await db
          .selectFrom('authorizations')
          .selectAll('authorizations')
          .where(nobodyWorksOnIt)
          .where('state', 'in', ['pending', 'active'])
          .where('next_run_at', '<', before)
          .where((eb) => eb.or([eb('purge_due_at', 'is', null), eb('purge_due_at', '>', before)]))
          .orderBy('next_run_at')
          .limit(limit)
          .execute();
        return rows.map(toAuthorization);
      }),
    oldestFreshAsOf: () =>
      session.query(async (db) => {
        const oldest = await db
          .selectFrom('authorizations')
          .select('fresh_as_of')
          .where('state', '=', 'active')
          .where('usage', '=', 'MULTIPLE')
          .where('fresh_as_of', 'is not', null)
          .orderBy('fresh_as_of')
          .limit(1)
          .executeTakeFirst();
        return oldest?.fresh_as_of ?? null;
      }),
  };
}

/** A long pull is late and not lost: who holds the lease is at it. */
export function nobodyWorksOnIt({ not, exists, selectFrom }: ExpressionBuilder<Tables, 'authorizations'>) {
  const lease = selectFrom('leases')
    .select('fence')
    .whereRef('leases.authorization_id', '=', 'authorizations.id')
    .where('expires_at', '>', sql<Date>`clock_timestamp()`);
  return not(exists(lease));
}
