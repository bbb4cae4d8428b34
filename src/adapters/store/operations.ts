import { sql } from 'kysely';
import type { Store } from '../../core/ports/store.ts';
import type { Parts } from './fenced.ts';
import { STORE_NOW } from './lease-columns.ts';

type Operations = Pick<Store, 'ping' | 'wallNow'>;

/** Whether the database answers, and what time it is there. */
export function operations({ session }: Parts): Operations {
  return {
    ping: () =>
      session.query(async (db) => {
        await sql`select 1`.execute(db);
      }),
    wallNow: () =>
      session.query(async (db) => {
        const { rows } = await sql<{ readonly now: number }>`
          select ${STORE_NOW} as now`.execute(db);
        return rows[0]?.now ?? Number.NaN;
      }),
  };
}
