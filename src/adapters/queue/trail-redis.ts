import { z } from 'zod';
import { jobsOfKey, runsOfKey } from '../../contract/queue-keys.ts';
import { coalesced } from './coalesce.ts';
import { AUTHORIZATION_QUEUES, type Layout, type Shard } from './layout.ts';
import type { RedisClient } from './redis-connect.ts';
import { EVENTS_SCRIPT, JOBS_SCRIPT, NOTE_RUNS_SCRIPT, NOTE_SCRIPT } from './redis-scripts.ts';
import { authorizationIn, jobIdOf, REPEATING, type Trail } from './trail.ts';

/** Events read at once inside Redis, which serves nobody else meanwhile. */
const EVENTS_PAGE = 250;

/** Runs noted at once: Redis serves nobody else for about 20 microseconds each. */
const RUNS_TOGETHER_MAX = 64;

const jobsReply = z.tuple([z.number(), z.number()]);
const eventsReply = z.array(z.union([z.string(), z.number()]));

type Act = 'remove' | 'count';
type Told = { readonly members: readonly string[]; readonly events: number };
type Found = { readonly jobs: number; readonly locked: number; readonly events: number };
type Place = { readonly redis: RedisClient; readonly shard: Shard };

const NOTHING: Found = { jobs: 0, locked: 0, events: 0 };

/**
 * The trail in Redis. Jobs are found by ids that are made of the authorization's, by the score of its repeating job, by what was noted before a run, and by
 * the events. One script for each authorization and one for each stream, so that Redis is never held for long. An authorization is looked for where its shard is
 * in every layout that may hold something, and where requests are handed in.
 */
export function openRedisTrail({
  redis,
  layouts,
}: {
  readonly redis: RedisClient;
  /** All layouts in which something may lie, asked anew for each pass. */
  readonly layouts: () => Promise<readonly Layout[]>;
}): Trail {
  const noteRun = runNoter(redis);
  const look = async (act: Act, ids: readonly string[]) => lookFor({ redis, act, ids, layouts: await layouts() });
  return {
    note: async ({ queue, shard: { prefix }, jobId, authorizationId }) => {
      if (queue === REPEATING && jobId.startsWith(runsOf(authorizationId))) return noteRun(prefix, jobId);
      await redis.eval(NOTE_SCRIPT, 1, jobsOfKey({ prefix, authorizationId }), prefix, `${queue}:${jobId}`);
    },
    removeJobs: async (ids) => {
      const shards = shardsOf({ ids, layouts: await layouts() });
      const removed = [...shards].flatMap(([shard, lying]) =>
        lying.map((id) => jobsOf({ place: { redis, shard }, act: 'remove', id, members: [] })),
      );
      await Promise.all(removed);
    },
    sweep: async (ids) => {
      const found = await look('remove', ids);
      return new Map([...found].map(([id, { jobs, events }]) => [id, { jobs, events }]));
    },
    traces: async (ids) => {
      const found = await look('count', ids);
      return new Map([...found].map(([id, { jobs, locked, events }]) => [id, jobs + locked + events]));
    },
    close: async () => {},
  };
}

/** Runs of one shard that begin while others are being noted are noted together. */
function runNoter(redis: RedisClient): (prefix: string, jobId: string) => Promise<void> {
  const byPrefix = new Map<string, (jobId: string, missing: undefined) => Promise<undefined>>();
  const passOf = (prefix: string) => async (jobIds: readonly string[]) => {
    const keys: string[] = [];
    const runs: string[] = [];
    for (const jobId of jobIds) {
      const authorizationId = authorizationIn(jobId) ?? '';
      const begin = runsOf(authorizationId);
      keys.push(...keysOf({ prefix, authorizationId }));
      runs.push(`${REPEATING}:${begin}`, jobId.slice(begin.length));
    }
    await redis.eval(NOTE_RUNS_SCRIPT, keys.length, ...keys, prefix, ...runs);
    return new Map<string, undefined>();
  };
  return (prefix, jobId) => {
    const note = byPrefix.get(prefix) ?? coalesced({ pass: passOf(prefix), idsMax: RUNS_TOGETHER_MAX });
    byPrefix.set(prefix, note);
    return note(jobId, undefined);
  };
}

/** What the ids of the runs of its repeating job begin with. */
function runsOf(authorizationId: string): string {
  return `repeat:${authorizationId}:`;
}

/** Where the jobs of an authorization are noted, and the runs. */
function keysOf(of: Parameters<typeof jobsOfKey>[0]): readonly [string, string] {
  return [jobsOfKey(of), runsOfKey(of)];
}

/** Where each of the authorizations may lie. */
function shardsOf({
  ids,
  layouts,
}: {
  readonly ids: readonly string[];
  readonly layouts: readonly Layout[];
}): ReadonlyMap<Shard, readonly string[]> {
  const byPrefix = new Map<string, { readonly shard: Shard; readonly ids: string[] }>();
  for (const id of ids) {
    const shards = layouts.flatMap(({ intake, shardOf }) => [intake, shardOf(id)]);
    for (const shard of new Map(shards.map((one) => [one.prefix, one])).values()) {
      const lying = byPrefix.get(shard.prefix) ?? { shard, ids: [] };
      lying.ids.push(id);
      byPrefix.set(shard.prefix, lying);
    }
  }
  return new Map([...byPrefix.values()].map(({ shard, ids }) => [shard, ids]));
}

async function lookFor({
  redis,
  act,
  ids,
  layouts,
}: {
  readonly redis: RedisClient;
  readonly act: Act;
  readonly ids: readonly string[];
  readonly layouts: readonly Layout[];
}): Promise<ReadonlyMap<string, Found>> {
  const shards = [...shardsOf({ ids, layouts })];
  const found = await Promise.all(shards.map(([shard, lying]) => lookIn({ place: { redis, shard }, act, ids: lying })));
  const sums = new Map<string, Found>();
  for (const { id, jobs, locked, events } of found.flat()) {
    const sum = sums.get(id) ?? NOTHING;
    sums.set(id, { jobs: sum.jobs + jobs, locked: sum.locked + locked, events: sum.events + events });
  }
  return sums;
}

async function lookIn({
  place,
  act,
  ids,
}: {
  readonly place: Place;
  readonly act: Act;
  readonly ids: readonly string[];
}): Promise<readonly (Found & { readonly id: string })[]> {
  const told = await toldBy({ place, act, ids });
  return Promise.all(
    ids.map(async (id) => {
      const { members = [], events = 0 } = told.get(id) ?? {};
      return { id, events, ...(await jobsOf({ place, act, id, members })) };
    }),
  );
}

/** What the events tell of each authorization: the jobs they name, and how many they are. Those of `intake` tell of numbers. */
async function toldBy({
  place: { redis, shard },
  act,
  ids,
}: {
  readonly place: Place;
  readonly act: Act;
  readonly ids: readonly string[];
}): Promise<ReadonlyMap<string, Told>> {
  const wanted = ids.flatMap((id) => [jobIdOf(id), runsOf(id)]);
  const told = new Map<string, Told>();
  for (const queue of AUTHORIZATION_QUEUES) {
    const stream = `${shard.prefix}:${queue}:events`;
    const reply = await redis.eval(EVENTS_SCRIPT, 1, stream, act, EVENTS_PAGE, ...wanted);
    for (const [jobId, count] of pairsOf(eventsReply.parse(reply))) {
      const id = authorizationIn(jobId);
      if (id === null) continue;
      const { members = [], events = 0 } = told.get(id) ?? {};
      told.set(id, { members: [...members, `${queue}:${jobId}`], events: events + count });
    }
  }
  return told;
}

async function jobsOf({
  place: { redis, shard },
  act,
  id,
  members,
}: {
  readonly place: Place;
  readonly act: Act;
  readonly id: string;
  readonly members: readonly string[];
}): Promise<{ readonly jobs: number; readonly locked: number }> {
  const own = AUTHORIZATION_QUEUES.map((queue) => `${queue}:${jobIdOf(id)}`);
  const { prefix } = shard;
  const keys = keysOf({ prefix, authorizationId: id });
  const reply = await redis.eval(JOBS_SCRIPT, keys.length, ...keys, prefix, act, REPEATING, id, ...own, ...members);
  const [jobs, locked] = jobsReply.parse(reply);
  return { jobs, locked };
}

function* pairsOf(flat: readonly (string | number)[]): Generator<readonly [string, number]> {
  for (let at = 0; at + 1 < flat.length; at += 2) yield [String(flat[at]), Number(flat[at + 1])];
}
