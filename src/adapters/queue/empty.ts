import type { ChainableCommander } from 'ioredis';
import { z } from 'zod';
import { type AuthorizationQueue, JOB_REASONS, type JobReason } from '../../core/ports/queue.ts';
import { instantOf } from './delayed-score.ts';
import { AUTHORIZATION_QUEUES, type Layout, type Shard } from './layout.ts';
import { mastersOf, type RedisClient } from './redis-connect.ts';
import { FORGET_NOTES_SCRIPT, TAKE_OUT_SCRIPT } from './redis-scripts.ts';
import { authorizationIn, jobIdOf } from './trail.ts';

/** Entries that one step reads; each step is short for Redis. */
const PAGE = 500;

/** The lists in which a job lies that has not ended. Of the delayed ones most are runs that repeat, which are made anew from the store. */
const LISTS = ['wait', 'paused', 'active'];
const SETS = ['prioritized', 'delayed'];

const payloadSchema = z.object({ reason: z.enum(JOB_REASONS) });

/** A job that was added once and has not ended; `wakesAt` is wall time, null for one that is due. */
export type Stranded = {
  readonly queue: AuthorizationQueue;
  readonly authorizationId: string;
  readonly reason: JobReason;
  readonly wakesAt: number | null;
};

/** What emptying needs of those who know where jobs lie now. */
export type Emptying = {
  readonly redis: RedisClient;
  readonly layout: Layout;
  /** Adds a stranded job where it lies now. */
  readonly add: (job: Stranded) => Promise<unknown>;
  /** Takes it back: the authorization was swept meanwhile. */
  readonly takeBack: (authorizationId: string) => Promise<void>;
  /** Whether to go on; asked before every step. */
  readonly goesOn: () => Promise<boolean>;
};

/**
 * Empties a layout that nobody uses any more: jobs that were added once move to where they lie now, and everything else goes, since the store can make it again.
 * What stands on the intake queue's prefix and is not the layout's stays. Answers false when it was told to stop; it can be begun anew at any point.
 */
export async function emptyLayout(emptying: Emptying): Promise<{ readonly done: boolean; readonly moved: number }> {
  let moved = 0;
  for (const shard of emptying.layout.shards) {
    for (const queue of AUTHORIZATION_QUEUES) {
      for await (const jobIds of strandedIn({ redis: emptying.redis, shard, queue })) {
        if (!(await emptying.goesOn())) return { done: false, moved };
        for (const jobId of jobIds) moved += await move({ emptying, shard, queue, jobId });
      }
    }
  }
  return { done: await dropKeys(emptying), moved };
}

/** The ids of jobs that were added once and have not ended, page by page. */
async function* strandedIn({
  redis,
  shard,
  queue,
}: {
  readonly redis: RedisClient;
  readonly shard: Shard;
  readonly queue: AuthorizationQueue;
}): AsyncGenerator<readonly string[]> {
  const own = jobIdOf('');
  for (const list of LISTS) {
    const key = `${shard.prefix}:${queue}:${list}`;
    // Read whole before any is moved: what is moved leaves the list.
    const jobIds: string[] = [];
    for (let from = 0; ; from += PAGE) {
      const page = await redis.lrange(key, from, from + PAGE - 1);
      jobIds.push(...page.filter((jobId) => jobId.startsWith(own)));
      if (page.length < PAGE) break;
    }
    for (let from = 0; from < jobIds.length; from += PAGE) yield jobIds.slice(from, from + PAGE);
  }
  for (const set of SETS) {
    let cursor = '0';
    do {
      const [next, flat] = await redis.zscan(
        `${shard.prefix}:${queue}:${set}`,
        cursor,
        'MATCH',
        `${own}*`,
        'COUNT',
        PAGE,
      );
      const jobIds = flat.filter((_, at) => at % 2 === 0);
      if (jobIds.length > 0) yield jobIds;
      cursor = next;
    } while (cursor !== '0');
  }
}

/** Added first and removed after: a crash in between adds it again. Where the removal finds nothing any more, the authorization was swept, and is not brought back. */
async function move({
  emptying: { redis, add, takeBack },
  shard,
  queue,
  jobId,
}: {
  readonly emptying: Emptying;
  readonly shard: Shard;
  readonly queue: AuthorizationQueue;
  readonly jobId: string;
}): Promise<0 | 1> {
  const authorizationId = authorizationIn(jobId);
  const base = `${shard.prefix}:${queue}:`;
  const data = await redis.hget(`${base}${jobId}`, 'data');
  const payload = data === null ? null : payloadSchema.safeParse(JSON.parse(data));
  if (authorizationId === null || payload?.success !== true) return 0;
  const score = await redis.zscore(`${base}delayed`, jobId);
  const wakesAt = score === null ? null : instantOf(score);
  await add({ queue, authorizationId, reason: payload.data.reason, wakesAt });
  if ((await redis.eval(TAKE_OUT_SCRIPT, 1, `${base}${jobId}`, base, jobId)) === 1) return 1;
  await takeBack(authorizationId);
  return 0;
}

/** All keys of the layout's queues. One walk over each server, since there is no list of the sets that note jobs. */
async function dropKeys({ redis, layout: { shards, intake }, goesOn }: Emptying): Promise<boolean> {
  // The shards' prefixes differ in their first number alone.
  const prefix = (shards[0] ?? intake).prefix.replace(/\d+(?=-of-\d+\}$)/, '*');
  for (const master of mastersOf(redis)) {
    let cursor = '0';
    do {
      if (!(await goesOn())) return false;
      const [next, keys] = await master.scan(cursor, 'MATCH', `${prefix}:*`, 'COUNT', PAGE);
      const pipeline = master.pipeline();
      for (const key of keys) drop({ pipeline, key, prefix, shared: prefix === intake.prefix });
      await pipeline.exec();
      cursor = next;
    } while (cursor !== '0');
  }
  return true;
}

/** One by one: in a Cluster they lie in several slots. On a prefix that is the intake queue's too, only what is the layout's. */
function drop({
  pipeline,
  key,
  prefix,
  shared,
}: {
  readonly pipeline: ChainableCommander;
  readonly key: string;
  readonly prefix: string;
  readonly shared: boolean;
}): void {
  const own = [...AUTHORIZATION_QUEUES.map((queue) => `${prefix}:${queue}:`), `${prefix}:mark`, `${prefix}:runs-of:`];
  if (!shared || own.some((start) => key.startsWith(start))) pipeline.unlink(key);
  else if (key.startsWith(`${prefix}:jobs-of:`)) pipeline.eval(FORGET_NOTES_SCRIPT, 1, key);
}
