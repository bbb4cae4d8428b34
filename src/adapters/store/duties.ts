import { sql } from 'kysely';
import type { FleetStore } from '../../core/ports/fleet.ts';
import type { Parts } from './fenced.ts';

type Duties = Pick<FleetStore, 'takeDuty' | 'releaseDuty' | 'reconciled' | 'noteReconciled'>;

/** Who has which duty, on the database's clock, and what the reconciler's last pass came to. */
export function duties({ session }: Parts): Duties {
  return {
    takeDuty: ({ name, owner, leaseMs }) =>
      session.query(async (db) => {
        const ends = sql`clock_timestamp() + ${leaseMs}::double precision * interval '1 millisecond'`;
        const { rows } = await sql`
          insert into perennial.duties as held (name, owner, expires_at) values (${name}, ${owner}, ${ends})
          on conflict (name) do update set owner = excluded.owner, expires_at = ${ends}
            where held.owner = excluded.owner or held.expires_at <= clock_timestamp()
          returning name`.execute(db);
        return rows.length === 1;
      }),
    releaseDuty: ({ name, owner }) =>
      session.query(async (db) => {
        await db.deleteFrom('duties').where('name', '=', name).where('owner', '=', owner).execute();
      }),
    reconciled: () =>
      session.query(async (db) => {
        const { rows } = await sql<{
          readonly mark: string;
          readonly ago_ms: number | null;
          readonly authorizations: number;
          readonly drift: number;
        }>`
          select mark, authorizations, drift,
              extract(epoch from clock_timestamp() - passed_at)::double precision * 1000 as ago_ms
            from perennial.reconciled`.execute(db);
        const [row] = rows;
        if (row === undefined) return { mark: null, lastPass: null };
        const { mark, ago_ms: agoMs, authorizations, drift } = row;
        return { mark, lastPass: agoMs === null ? null : { agoMs: Math.max(0, agoMs), authorizations, drift } };
      }),
    noteReconciled: ({ mark, pass }) =>
      session.query(async (db) => {
        const passed = pass === undefined ? sql`null` : sql`clock_timestamp()`;
        const { authorizations = 0, drift = 0 } = pass ?? {};
        await sql`
          insert into perennial.reconciled as last (queue, mark, passed_at, authorizations, drift)
            values ('queue', ${mark}, ${passed}, ${authorizations}, ${drift})
          on conflict (queue) do update set mark = excluded.mark,
            passed_at = coalesce(excluded.passed_at, last.passed_at),
            authorizations = case when excluded.passed_at is null then last.authorizations else excluded.authorizations end,
            drift = case when excluded.passed_at is null then last.drift else excluded.drift end`.execute(db);
      }),
  };
}
