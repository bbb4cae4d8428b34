import { Queue, Worker } from 'bullmq';
import { Pool } from 'pg';
import { LIMITS } from '../../src/core/limits.ts';
import type { Source } from '../../src/core/ports/upstream.ts';
import { Secret } from '../../src/core/secret.ts';

/** One way to get through a round of work. `run` gives the seconds that it took. */
export type Lane = { readonly run: () => Promise<number>; readonly close: () => Promise<void> };

const HOUR_MS = 3_600_000;
/** As many bytes as a sealed pair has. */
const SEALED_BYTES = 400;
const NAME = 'no-op';

/** What BullMQ itself costs: schedulers whose jobs do nothing, and are put at their next slot. */
export async function openNoOps({
  redisUrl,
  count,
  concurrency,
}: {
  readonly redisUrl: string;
  readonly count: number;
  readonly concurrency: number;
}): Promise<Lane> {
  const place = { connection: { url: redisUrl, maxRetriesPerRequest: null } };
  const queue = new Queue(NAME, place);
  for (let at = 0; at < count; at += 1) {
    const offset = 1 + Math.floor((at / count) * HOUR_MS);
    await queue.upsertJobScheduler(`bench-${at}`, { every: HOUR_MS, offset }, { name: NAME, data: { at } });
  }
  const runs = counter();
  const worker = new Worker(NAME, async () => void runs.add(), {
    ...place,
    concurrency,
    removeOnComplete: { count: LIMITS.keepCompletedJobs, age: LIMITS.keepCompletedAgeS },
  });
  await worker.waitUntilReady();
  return {
    run: () => promoted({ queue, count, runs }),
    close: async () => {
      await worker.close();
      await queue.close();
    },
  };
}

/** The same request for new tokens and one commit, and nothing else: no job, no lease, no durable intent. */
export async function openBare({
  databaseUrl,
  source,
  count,
  concurrency,
  poolSize,
}: {
  readonly databaseUrl: string;
  readonly source: Pick<Source, 'refresh'>;
  readonly count: number;
  readonly concurrency: number;
  readonly poolSize: number;
}): Promise<Lane> {
  const pool = new Pool({ connectionString: databaseUrl, max: poolSize });
  await pool.query('create table bench_tokens (id text primary key, version bigint not null, sealed bytea not null)');
  await pool.query(
    `insert into bench_tokens select 'bench-' || at, 1, $2 from generate_series(0, $1::integer - 1) as at`,
    [count, Buffer.alloc(SEALED_BYTES)],
  );
  const refreshToken = new Secret('refresh');
  const sealed = Buffer.alloc(SEALED_BYTES, 1);
  const one = async (at: number): Promise<void> => {
    const { signal } = new AbortController();
    const reply = await source.refresh({ refreshToken, signal, mayStillSend: () => true });
    if (reply.kind !== 'reply' || reply.grant === null) throw new Error('no grant');
    await pool.query('update bench_tokens set version = version + 1, sealed = $2 where id = $1', [
      `bench-${at}`,
      sealed,
    ]);
  };
  return {
    run: async () => {
      let next = 0;
      const hand = async (): Promise<void> => {
        for (let at = next++; at < count; at = next++) await one(at);
      };
      const startedAt = performance.now();
      await Promise.all(Array.from({ length: concurrency }, hand));
      return (performance.now() - startedAt) / 1_000;
    },
    close: () => pool.end(),
  };
}

/** Counts what ran, and tells when it was enough. */
export type Counter = { readonly add: () => void; readonly reach: (count: number) => Promise<void> };

export function counter(): Counter {
  let ran = 0;
  let wanted = Number.POSITIVE_INFINITY;
  let reached: () => void = () => {};
  return {
    add: () => {
      ran += 1;
      if (ran >= wanted) reached();
    },
    reach: (count) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      wanted = ran + count;
      reached = resolve;
      return promise;
    },
  };
}

/** Lets all delayed jobs of a queue run at once; gives the seconds until all have. */
export async function promoted({
  queue,
  count,
  runs,
}: {
  readonly queue: Queue;
  readonly count: number;
  readonly runs: Counter;
}): Promise<number> {
  await queue.pause();
  await queue.promoteJobs();
  const all = runs.reach(count);
  const startedAt = performance.now();
  await queue.resume();
  await all;
  return (performance.now() - startedAt) / 1_000;
}
