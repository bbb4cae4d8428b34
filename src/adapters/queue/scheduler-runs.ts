import type { Queue } from 'bullmq';
import { Pool, type PoolConfig } from 'pg';

type RunsQueue = Pick<Queue<Readonly<Record<string, unknown>>, void>, 'name' | 'getRanges' | 'getJob'>;

/** Removes the runs that an authorization's scheduler made and that wait, were put back, or ended. */
export type RemoveRuns = (value: { readonly queue: RunsQueue; readonly authorizationId: string }) => Promise<void>;

/** Runs carry their scheduler's id in theirs. Ids only are read: a fleet has a delayed job for each authorization. */
export const removeRunsOnRedis: RemoveRuns = async ({ queue, authorizationId }) => {
  const ids = await queue.getRanges(['failed', 'completed', 'delayed', 'waiting'], 0, -1);
  const own = ids.filter((id) => id.startsWith(`repeat:${authorizationId}:`));
  for (const id of own) await (await queue.getJob(id))?.remove().catch(() => {});
};

/** BullMQ on PostgreSQL (6.7.0) refuses to remove a job that a scheduler made, also when that scheduler is gone: we delete its rows. */
export function openRunsRemover({ connection, schema }: { readonly connection: PoolConfig; readonly schema: string }): {
  readonly removeRuns: RemoveRuns;
  readonly close: () => Promise<void>;
} {
  const pool = new Pool({ ...connection, max: 1 });
  pool.on('error', () => {});
  const statement = `DELETE FROM ${schema}.job WHERE queue = $1 AND scheduler_id = $2 AND state <> 'active'`;
  return {
    removeRuns: async ({ queue, authorizationId }) => {
      await pool.query(statement, [queue.name, authorizationId]);
    },
    close: () => pool.end(),
  };
}
