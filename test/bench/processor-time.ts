import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Sql } from '../support/databases.ts';

/** Processor seconds by who has spent them. */
export type ProcessorTime = { readonly node: number; readonly postgres: number; readonly redis: number };
/** Processor seconds so far; the database's by the process of each connection. */
type Look = { readonly node: number; readonly postgres: ReadonlyMap<number, number>; readonly redis: number };

const TICKS_PER_S = 100;
const MICROSECONDS = 1e6;
const pidsSchema = z.array(z.object({ pid: z.number() }));

/** What this process, the database's connections and a Redis of our own have spent so far. */
export async function processorTime({
  sql,
  redisSeconds,
}: {
  readonly sql: Sql;
  readonly redisSeconds: () => Promise<number>;
}): Promise<Look> {
  const rows = await sql(
    'select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
  );
  const each = await Promise.all(pidsSchema.parse(rows).map(async ({ pid }) => [pid, await secondsOf(pid)] as const));
  const { user, system } = process.cpuUsage();
  return {
    node: (user + system) / MICROSECONDS,
    postgres: new Map(each),
    redis: await redisSeconds(),
  };
}

/** What was spent from one look to the next, in all and by whom. Of a connection that ended in between, an idle one as a rule, nothing is known. */
export function spentBetween(before: Look, after: Look): ProcessorTime & { readonly all: number } {
  const node = after.node - before.node;
  const ofEach = [...after.postgres].map(([pid, seconds]) => Math.max(0, seconds - (before.postgres.get(pid) ?? 0)));
  const postgres = ofEach.reduce((sum, seconds) => sum + seconds, 0);
  const redis = after.redis - before.redis;
  return { node, postgres, redis, all: node + postgres + redis };
}

/** User and system time from `/proc/<pid>/stat`; what stands before them is a name in brackets, which may hold anything. */
async function secondsOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS_PER_S;
}
