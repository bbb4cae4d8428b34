import { sql } from 'kysely';
import type { FleetStore } from '../../core/ports/fleet.ts';
import type { Plan } from '../../core/reconcile.ts';
import { spreadOf } from '../../core/spread.ts';
import { AT_END_SET, member, STATE_SET, UPSTREAM_END_SET, USAGE_SET } from './columns.ts';
import type { Parts } from './fenced.ts';
import type { Tables } from './tables.ts';

const COLUMNS = [
  'id',
  'state',
  'usage',
  'period_ms',
  'phase',
  'next_run_at',
  'purge_due_at',
  'fetched_at',
  'at_end',
  'upstream_end',
] as const;
type Row = Pick<Tables['authorizations'], (typeof COLUMNS)[number]>;

/** What the reconciler and the catch-up read of authorizations, without the rest of their rows. */
export function plans({
  session,
}: Parts): Omit<FleetStore, 'takeDuty' | 'releaseDuty' | 'reconciled' | 'noteReconciled'> {
  return {
    plans: ({ after, limit }) =>
      session.query(async (db) => {
        const query = db.selectFrom('authorizations').select(COLUMNS).where('state', '<>', 'purged');
        const rows = await query
          .where('id', '>', after ?? '')
          .orderBy('id')
          .limit(limit)
          .execute();
        return rows.map(toPlan);
      }),
    plansOf: (ids) =>
      session.query(async (db) => {
        const rows = await db
          .selectFrom('authorizations')
          .select(COLUMNS)
          .where(sql<boolean>`id = any(${[...ids]}::text[])`)
          .execute();
        return rows.map(toPlan);
      }),
    countOverdue: ({ before, limit }) =>
      session.query(async (db) => {
        const { rows } = await sql<{ readonly count: number }>`
          select count(*)::int as count from (select 1 ${overdue(before)} limit ${limit}) as found`.execute(db);
        return rows[0]?.count ?? 0;
      }),
    overdueByDeadline: ({ before, now, urgentBefore, lateAfter, limit }) =>
      session.query(async (db) => {
        const lateAfterMs = sql`coalesce((a.cadence ->> 'lateAfterMs')::double precision,
          (${JSON.stringify(lateAfter.endpoints)}::jsonb ->> (a.endpoint ->> 'id'))::double precision,
          (${JSON.stringify(lateAfter.networks)}::jsonb ->> a.network)::double precision)`;
        const { rows } = await sql<Pick<Row, 'id' | 'phase'> & { readonly period_ms: number }>`
          select a.id, a.phase, a.period_ms ${overdue(before)}
          order by coalesce(t.refresh_expires_at > ${now} and t.refresh_expires_at < ${urgentBefore}, false) desc,
            least(a.fresh_as_of + ${lateAfterMs}, t.access_expires_at, t.refresh_expires_at) nulls last, a.id
          limit ${limit}`.execute(db);
        return rows.map(({ id, phase, period_ms: periodMs }) => ({ id, phase: phase ?? spreadOf(id), periodMs }));
      }),
    replan: ({ before, plans: wanted }) =>
      session.query(async (db) => {
        const ids = wanted.map(({ id }) => id);
        const instants = wanted.map(({ nextRunAt }) => nextRunAt);
        // Asked again in the update, since a run that ended meanwhile has planned its next one.
        const { rows } = await sql`
          update perennial.authorizations as a set next_run_at = w.next_run_at
            from unnest(${ids}::text[], ${instants}::double precision[]) as w (id, next_run_at)
            where a.id = w.id and a.state = 'active' and a.next_run_at < ${before}
            returning 1 as moved`.execute(db);
        return rows.length;
      }),
  };
}

/** Standing authorizations that are due for a run and that nobody works on. */
function overdue(before: number) {
  return sql`from perennial.authorizations as a left join perennial.tokens as t on t.authorization_id = a.id
    where a.state = 'active' and a.usage = 'MULTIPLE' and a.period_ms is not null and a.next_run_at < ${before}
      and (a.purge_due_at is null or a.purge_due_at > ${before})
      and not exists (select 1 from perennial.leases as l where l.authorization_id = a.id and l.expires_at > clock_timestamp())`;
}

function toPlan(row: Row): Plan {
  return {
    id: row.id,
    state: member(STATE_SET, row.state),
    usage: member(USAGE_SET, row.usage),
    periodMs: row.period_ms,
    phase: row.phase ?? spreadOf(row.id),
    nextRunAt: row.next_run_at,
    purgeDueAt: row.purge_due_at,
    fetchedAt: row.fetched_at,
    atEnd: row.at_end === null ? null : member(AT_END_SET, row.at_end),
    upstreamEnd: row.upstream_end === null ? null : member(UPSTREAM_END_SET, row.upstream_end),
  };
}
