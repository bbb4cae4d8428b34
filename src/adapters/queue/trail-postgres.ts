import { Pool, type PoolConfig } from 'pg';
import { z } from 'zod';
import { QUEUES } from '../../core/ports/queue.ts';
import { jobIdOf, REPEATING, type Trail } from './trail.ts';

const NAMING_QUEUES = QUEUES.filter((name) => name !== 'intake');
const rowsSchema = z.array(z.object({ id: z.string(), jobs: z.coerce.number(), events: z.coerce.number() }));

/** A job that a worker holds: BullMQ's own words for it. */
const HELD = `(job.state = 'active' and coalesce(job.locked_until_ms, 0) > extract(epoch from clock_timestamp()) * 1000)`;
const EVENT_NAMES = `coalesce(substring(data ->> 'jobId' from '^once[.](.+)$'), substring(data ->> 'jobId' from '^repeat:(.+):[0-9]+$'))`;

/**
 * The statements, given authorization ids ($1), the ids of their own jobs ($2) and the queues those lie in ($3). Jobs are found by BullMQ's keys: their id,
 * or the scheduler that made them. Nothing is handed in on PostgreSQL, so `intake` is empty, and the table of events is short.
 */
function statementsOf(schema: string) {
  const named = `named as (
    select queue, id as job_id, substring(id from '^once[.](.+)$') as id from ${schema}.job where queue = any($3) and id = any($2)
    union select queue, id, scheduler_id from ${schema}.job where queue = '${REPEATING}' and scheduler_id = any($1)
    union select queue, id, data ->> 'authorizationId' from ${schema}.job where queue = 'intake' and data ->> 'authorizationId' = any($1))`;
  const gone = `gone as (delete from ${schema}.job using named
    where job.queue = named.queue and job.id = named.job_id and not ${HELD} returning named.id)`;
  const unscheduled = `unscheduled as (delete from ${schema}.scheduler where queue = '${REPEATING}' and scheduler_id = any($1) returning scheduler_id as id)`;
  const untold = `untold as (delete from ${schema}.event where ${EVENT_NAMES} = any($1) returning ${EVENT_NAMES} as id)`;
  const counted = (jobs: readonly string[], events: string) => `
    select id, count(*) filter (where kind = 'job') as jobs, count(*) filter (where kind = 'event') as events
      from (${jobs.map((from) => `select id, 'job' as kind from ${from} union all `).join('')} select id, 'event' from ${events}) as found group by id`;
  return {
    removeJobs: `with ${named}, ${gone}, ${unscheduled} select 1 where $2::text[] is not null`,
    sweep: `with ${named}, ${gone}, ${unscheduled}, ${untold} ${counted(['gone', 'unscheduled'], 'untold')}`,
    traces: `with ${named}, scheduled as (select scheduler_id as id from ${schema}.scheduler where queue = '${REPEATING}' and scheduler_id = any($1)),
      told as (select ${EVENT_NAMES} as id from ${schema}.event where ${EVENT_NAMES} = any($1)) ${counted(['named', 'scheduled'], 'told')}`,
  };
}

/** The trail in BullMQ's tables on PostgreSQL (as of 6.7.0, which itself refuses to remove a job that a scheduler made, also when that scheduler is gone). */
export function openPostgresTrail({
  connection,
  schema,
}: {
  readonly connection: PoolConfig;
  readonly schema: string;
}): Trail {
  const pool = new Pool({ ...connection, max: 1 });
  pool.on('error', () => {});
  const statements = statementsOf(schema);
  const run = async (statement: string, ids: readonly string[]) =>
    rowsSchema.parse((await pool.query(statement, [ids, ids.map(jobIdOf), NAMING_QUEUES])).rows);
  return {
    note: async () => {},
    removeJobs: async (ids) => {
      await pool.query(statements.removeJobs, [ids, ids.map(jobIdOf), NAMING_QUEUES]);
    },
    sweep: async (ids) =>
      new Map((await run(statements.sweep, ids)).map(({ id, jobs, events }) => [id, { jobs, events }])),
    traces: async (ids) =>
      new Map((await run(statements.traces, ids)).map(({ id, jobs, events }) => [id, jobs + events])),
    close: () => pool.end(),
  };
}
