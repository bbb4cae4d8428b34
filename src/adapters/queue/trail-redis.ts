import { Redis } from 'ioredis';
import { z } from 'zod';
import { jobsOfKey } from '../../contract/queue-keys.ts';
import { QUEUES } from '../../core/ports/queue.ts';
import { EVENTS_SCRIPT, JOBS_SCRIPT, NOTE_SCRIPT } from './redis-scripts.ts';
import { authorizationIn, jobIdOf, REPEATING, type Trail } from './trail.ts';

/** Events read at once inside Redis, which serves nobody else meanwhile. */
const EVENTS_PAGE = 250;

/** The queues whose job ids are made of the authorization's; events of the others tell of numbers. */
const NAMING_QUEUES = QUEUES.filter((name) => name !== 'intake');

const jobsReply = z.tuple([z.number(), z.number()]);
const eventsReply = z.array(z.union([z.string(), z.number()]));

type Place = { readonly redis: Redis; readonly prefix: string };
type Act = 'remove' | 'count';
type Told = { readonly members: readonly string[]; readonly events: number };

/**
 * The trail in Redis. Jobs are found by ids that are made of the authorization's, by the score of its repeating job, by what was noted before a run, and by
 * the events. One script for each authorization and one for each stream, so that Redis is never held for long.
 */
export function openRedisTrail({
  url,
  prefix,
  connectTimeoutMs,
  commandTimeoutMs,
}: {
  readonly url: string;
  readonly prefix: string;
  readonly connectTimeoutMs: number;
  readonly commandTimeoutMs: number;
}): Trail {
  const redis = new Redis(url, {
    connectTimeout: connectTimeoutMs,
    commandTimeout: commandTimeoutMs,
    maxRetriesPerRequest: 1,
  });
  redis.on('error', () => {});
  const place = { redis, prefix };
  return {
    note: async ({ queue, jobId, authorizationId }) => {
      await redis.eval(NOTE_SCRIPT, 1, jobsOfKey({ prefix, authorizationId }), prefix, `${queue}:${jobId}`);
    },
    removeJobs: async (ids) => {
      await Promise.all(ids.map((id) => jobsOf({ place, act: 'remove', id, members: [] })));
    },
    sweep: async (ids) => {
      const found = await lookFor({ place, act: 'remove', ids });
      return new Map(found.map(({ id, jobs, events }) => [id, { jobs, events }]));
    },
    traces: async (ids) => {
      const found = await lookFor({ place, act: 'count', ids });
      return new Map(found.map(({ id, jobs, locked, events }) => [id, jobs + locked + events]));
    },
    close: async () => redis.disconnect(),
  };
}

async function lookFor({
  place,
  act,
  ids,
}: {
  readonly place: Place;
  readonly act: Act;
  readonly ids: readonly string[];
}) {
  const told = await toldBy({ place, act, ids });
  return Promise.all(
    ids.map(async (id) => {
      const { members = [], events = 0 } = told.get(id) ?? {};
      return { id, events, ...(await jobsOf({ place, act, id, members })) };
    }),
  );
}

/** What the events tell of each authorization: the jobs they name, and how many they are. */
async function toldBy({
  place: { redis, prefix },
  act,
  ids,
}: {
  readonly place: Place;
  readonly act: Act;
  readonly ids: readonly string[];
}): Promise<ReadonlyMap<string, Told>> {
  const wanted = ids.flatMap((id) => [jobIdOf(id), `repeat:${id}:`]);
  const told = new Map<string, Told>();
  for (const queue of NAMING_QUEUES) {
    const reply = await redis.eval(EVENTS_SCRIPT, 1, `${prefix}:${queue}:events`, act, EVENTS_PAGE, ...wanted);
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
  place: { redis, prefix },
  act,
  id,
  members,
}: {
  readonly place: Place;
  readonly act: Act;
  readonly id: string;
  readonly members: readonly string[];
}): Promise<{ readonly jobs: number; readonly locked: number }> {
  const own = NAMING_QUEUES.map((queue) => `${queue}:${jobIdOf(id)}`);
  const key = jobsOfKey({ prefix, authorizationId: id });
  const reply = await redis.eval(JOBS_SCRIPT, 1, key, prefix, act, REPEATING, id, ...own, ...members);
  const [jobs, locked] = jobsReply.parse(reply);
  return { jobs, locked };
}

function* pairsOf(flat: readonly (string | number)[]): Generator<readonly [string, number]> {
  for (let at = 0; at + 1 < flat.length; at += 2) yield [String(flat[at]), Number(flat[at + 1])];
}
