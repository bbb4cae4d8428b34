import { sql } from 'kysely';
import type { Store } from '../../core/ports/store.ts';
import type { Parts } from './fenced.ts';

type Operations = Pick<Store, 'ping' | 'wallNow' | 'appendAudit' | 'auditOf'>;

/** The audit trail, which the database lets nobody rewrite, and whether the database answers. */
export function operations({ session }: Parts): Operations {
  return {
    ping: () =>
      session.query(async (db) => {
        await sql`select 1`.execute(db);
      }),
    wallNow: () =>
      session.query(async (db) => {
        const { rows } = await sql<{ readonly now: number }>`
          select (extract(epoch from clock_timestamp()) * 1000)::double precision as now`.execute(db);
        return rows[0]?.now ?? Number.NaN;
      }),
    appendAudit: ({ at, authorizationId, actor, action, reason }) =>
      session.query(async (db) => {
        await db.insertInto('audit').values({ at, authorization_id: authorizationId, actor, action, reason }).execute();
      }),
    auditOf: (authorizationId) =>
      session.query(async (db) => {
        const rows = await db
          .selectFrom('audit')
          .select(['at', 'actor', 'action', 'reason'])
          .where('authorization_id', '=', authorizationId)
          .orderBy('id')
          .execute();
        return rows.map((row) => ({ ...row, authorizationId }));
      }),
  };
}
