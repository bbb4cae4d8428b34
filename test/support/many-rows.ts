import type { Sql } from './databases.ts';

/** Standing authorizations as rows, without tokens or keys: what the reconciler reads of them. Their ids are `<stem>-<number>` with as many digits as the last. */
export async function insertStanding({
  sql,
  stem,
  count,
  periodMs,
  now,
}: {
  readonly sql: Sql;
  readonly stem: string;
  readonly count: number;
  readonly periodMs: number;
  /** Wall and domain time alike; each has its next slot after this as its plan. */
  readonly now: number;
}): Promise<void> {
  await sql(
    `with places as (
      select $1 || '-' || lpad(n::text, 7, '0') as id, ((hashtext($1 || n) & 2147483647) / 2147483648.0)::double precision as phase
        from generate_series(1, $2::int) as n),
    slots as (
      select id, phase, floor($4::double precision / $3) * $3 + floor(phase * $3) as slot from places)
    insert into perennial.authorizations
      (id, service, source, network, endpoint, cadence, usage_requested, usage, usage_reason, state, state_reason, accepted_at,
       authorized_at, period_ms, phase, next_run_at, failed_runs, fresh_as_of)
    select id, 'portal', 'sandbox', 'ONC_G10', '{"id":"riverbend-clinic"}', '{}', 'MULTIPLE', 'MULTIPLE', 'as_requested', 'active', 'accepted', $4,
       $4, $3, phase, case when slot > $4 then slot else slot + $3 end, 0, $4
      from slots`,
    [stem, count, periodMs, now],
  );
}
