import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Sql } from '../support/databases.ts';

/** Processor seconds so far, by who has spent them. */
export type ProcessorTime = { readonly node: number; readonly postgres: number; readonly redis: number };

const TICKS_PER_S = 100;
const MICROSECONDS = 1e6;
const pidsSchema = z.array(z.object({ pid: z.number() }));

/** What this process, the database's connections and a Redis of our own have spent so far; connections that have ended are not in it. */
export async function processorTime({
  sql,
  redisSeconds,
}: {
  readonly sql: Sql;
  readonly redisSeconds: () => Promise<number>;
}): Promise<ProcessorTime> {
  const rows = await sql(
    'select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
  );
  const each = await Promise.all(pidsSchema.parse(rows).map(({ pid }) => secondsOf(pid)));
  const { user, system } = process.cpuUsage();
  return {
    node: (user + system) / MICROSECONDS,
    postgres: each.reduce((sum, seconds) => sum + seconds, 0),
    redis: await redisSeconds(),
  };
}

/** What was spent from one look to the next, in all and by whom. */
export function spentBetween(before: ProcessorTime, after: ProcessorTime): ProcessorTime & { readonly all: number } {
  const node = after.node - before.node;
  const postgres = after.postgres - before.postgres;
  const redis = after.redis - before.redis;
  return { node, postgres, redis, all: node + postgres + redis };
}

/** User and system time from `/proc/<pid>/stat`; what stands before them is a name in brackets, which may hold anything. */
async function secondsOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS_PER_S;
}
