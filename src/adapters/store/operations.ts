import { sql } from 'kysely';
import type { Store } from '../../core/ports/store.ts';
import type { Parts } from './fenced.ts';

type Operations = Pick<
  Store,
  'ping' | 'suspendSource' | 'resumeSource' | 'suspendedSources' | 'appendAudit' | 'auditOf'
>;

/** What belongs to no single authorization: suspended sources and the audit trail, which the database lets nobody rewrite. */
export function operations({ session }: Parts): Operations {
  return {
    ping: () =>
      session.query(async (db) => {
        await sql`select 1`.execute(db);
      }),
    suspendSource: ({ source, at }) =>
      session.query(async (db) => {
        await db
          .insertInto('suspended_sources')
          .values({ source, since: at })
          .onConflict((conflict) => conflict.column('source').doUpdateSet({ since: at }))
          .execute();
      }),
    resumeSource: (source) =>
      session.query(async (db) => {
        await db.deleteFrom('suspended_sources').where('source', '=', source).execute();
      }),
    suspendedSources: (query) =>
      session.query(async (db) => {
        const all = db.selectFrom('suspended_sources').select('source').orderBy('source');
        const rows = await (query === undefined ? all : all.where('since', '>', query.refusedAfter)).execute();
        return rows.map(({ source }) => source);
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
