import { Pool, type PoolConfig } from 'pg';
import { z } from 'zod';
import type { Found, FoundPage, Held, HeldJob } from '../../core/ports/census.ts';
import type { CensusPlace } from './census-place.ts';
import { AUTHORIZATION_QUEUES } from './layout.ts';
import { authorizationIn, jobIdOf, REPEATING } from './trail.ts';

/** Rows that one step of a walk asks for. */
const WALK_COUNT = 200;
/** Our own line in BullMQ's table of settings; no queue is called so. */
const MARK = `queue = 'perennial' and field = 'mark'`;

const big = z.coerce.number();
const schedulerRows = z.array(
  z.object({ id: z.string(), every_ms: big, offset_ms: big.nullable(), next_run_ms: big.nullable() }),
);
const jobRows = z.array(
  z.object({ queue: z.enum(AUTHORIZATION_QUEUES), id: z.string(), state: z.string(), process_at_ms: big.nullable() }),
);
const idRows = z.array(z.object({ id: z.string() }));
const ownRows = z.array(
  z.object({ queue: z.enum(AUTHORIZATION_QUEUES), id: z.string(), process_at_ms: big, own: z.boolean() }),
);
const markRows = z.array(z.object({ value: z.string().nullable() }));

function statementsOf(schema: string) {
  return {
    schedulers: `select scheduler_id as id, every_ms, offset_ms, next_run_ms from ${schema}.scheduler
      where queue = '${REPEATING}' and scheduler_id = any($1)`,
    jobs: `select queue, id, state::text, process_at_ms from ${schema}.job
      where state <> 'completed' and ((queue = any($3) and id = any($2)) or (queue = '${REPEATING}' and scheduler_id = any($1)))`,
    walkSchedulers: `select scheduler_id as id from ${schema}.scheduler
      where queue = '${REPEATING}' and scheduler_id > $1 order by scheduler_id limit ${WALK_COUNT}`,
    walkJobs: `select job.queue, job.id, coalesce(process_at_ms, 0) as process_at_ms,
        coalesce(job.id = 'repeat:' || s.scheduler_id || ':' || s.next_run_ms, false) as own
      from ${schema}.job left join ${schema}.scheduler as s on s.queue = job.queue and s.scheduler_id = job.scheduler_id
      where state = 'delayed' and (job.queue, job.id) > ($1, $2) and job.queue = any($3)
      order by job.queue, job.id limit ${WALK_COUNT}`,
    drop: `delete from ${schema}.job where queue = $1 and id = $2 and state = 'delayed' returning id`,
    mark: `select value from ${schema}.meta where ${MARK}`,
    setMark: `insert into ${schema}.meta (queue, field, value) values ('perennial', 'mark', $1)
      on conflict (queue, field) do update set value = excluded.value`,
  };
}

/** The census of BullMQ's tables on PostgreSQL (as of 6.7.0), the embedded one too. */
export function openPostgresCensus({
  connection,
  schema,
}: {
  readonly connection: PoolConfig;
  readonly schema: string;
}): CensusPlace & { readonly close: () => Promise<void> } {
  const pool = new Pool({ ...connection, max: 1 });
  pool.on('error', () => {});
  const statements = statementsOf(schema);
  const run = async (statement: string, values: readonly unknown[] = []): Promise<readonly unknown[]> =>
    (await pool.query<Record<string, unknown>>(statement, [...values])).rows;
  return {
    look: async (ids) => {
      const schedulers = schedulerRows.parse(await run(statements.schedulers, [ids]));
      const jobs = jobRows.parse(await run(statements.jobs, [ids, ids.map(jobIdOf), AUTHORIZATION_QUEUES]));
      return heldOf({ ids, schedulers, jobs });
    },
    walk: (after) => walk({ run, statements, after }),
    drop: async ({ queue, jobId }) => (await run(statements.drop, [queue, jobId])).length > 0,
    mark: async () => markRows.parse(await run(statements.mark))[0]?.value ?? null,
    setMark: async (mark) => void (await run(statements.setMark, [mark])),
    close: () => pool.end(),
  };
}

function heldOf({
  ids,
  schedulers,
  jobs,
}: {
  readonly ids: readonly string[];
  readonly schedulers: z.infer<typeof schedulerRows>;
  readonly jobs: z.infer<typeof jobRows>;
}): ReadonlyMap<string, Held> {
  const schedulerById = new Map(schedulers.map((row) => [row.id, row]));
  const jobsById = Map.groupBy(jobs, ({ id }) => authorizationIn(id) ?? '');
  return new Map(
    ids.map((id) => {
      const row = schedulerById.get(id);
      const own = jobsById.get(id) ?? [];
      const next = row?.next_run_ms ?? null;
      const pending = own.find((job) => job.id === `repeat:${id}:${next}`);
      const scheduler =
        row === undefined || next === null ? null : { every: row.every_ms, offset: row.offset_ms ?? 0, next };
      return [id, { scheduler, pending: pendingOf(pending), jobs: own.filter((job) => job !== pending).map(toJob) }];
    }),
  );
}

function pendingOf(job: z.infer<typeof jobRows>[number] | undefined): Held['pending'] {
  if (job === undefined || job.state === 'failed') return { kind: 'gone' };
  return job.state === 'delayed' ? { kind: 'delayed', wakesAt: job.process_at_ms ?? 0 } : { kind: 'here' };
}

function toJob({ queue, id, state, process_at_ms: at }: z.infer<typeof jobRows>[number]): HeldJob {
  return { queue, jobId: id, wakesAt: state === 'delayed' ? (at ?? 0) : null };
}

/** A place on the walk is `s/<the last scheduler>` and then `j/<queue>/<the last job>`. */
async function walk({
  run,
  statements,
  after,
}: {
  readonly run: (statement: string, values: readonly unknown[]) => Promise<readonly unknown[]>;
  readonly statements: ReturnType<typeof statementsOf>;
  readonly after: string | null;
}): Promise<FoundPage> {
  const [, part = 's', rest = ''] = /^([sj])\/(.*)$/s.exec(after ?? '') ?? [];
  if (part === 's') {
    const rows = idRows.parse(await run(statements.walkSchedulers, [rest]));
    const last = rows.length < WALK_COUNT ? undefined : rows.at(-1);
    const found = rows.map(({ id }): Found => ({ kind: 'scheduler', authorizationId: id }));
    return { found, after: last === undefined ? 'j//' : `s/${last.id}` };
  }
  const [, queue = '', id = ''] = /^([^/]*)\/(.*)$/s.exec(rest) ?? [];
  const rows = ownRows.parse(await run(statements.walkJobs, [queue, id, AUTHORIZATION_QUEUES]));
  const last = rows.length < WALK_COUNT ? undefined : rows.at(-1);
  const found = rows.flatMap((row): Found[] => {
    const authorizationId = authorizationIn(row.id);
    if (authorizationId === null) return [];
    return [
      { kind: 'job', authorizationId, queue: row.queue, jobId: row.id, wakesAt: row.process_at_ms, own: row.own },
    ];
  });
  return { found, after: last === undefined ? null : `j/${last.queue}/${last.id}` };
}
