import { z } from 'zod';
import { jobsOfKey, runsOfKey } from '../../contract/queue-keys.ts';
import type { Found, FoundPage, Held, HeldJob } from '../../core/ports/census.ts';
import type { CensusPlace } from './census-place.ts';
import { DROP_SCRIPT, LOOK_SCRIPT } from './census-scripts.ts';
import { instantOf } from './delayed-score.ts';
import { AUTHORIZATION_QUEUES } from './layout.ts';
import type { RedisClient } from './redis-connect.ts';
import { authorizationIn, jobIdOf, REPEATING } from './trail.ts';

/** Entries of a set that one step of a walk asks for. */
const WALK_COUNT = 200;

const jobReply = z.tuple([z.string(), z.string(), z.string()]);
const lookReply = z.array(
  z.tuple([z.string(), z.string(), z.string(), z.string(), z.boolean().or(z.number()), z.array(jobReply)]),
);
const scanReply = z.tuple([z.string(), z.array(z.string())]);

/** The sets that a walk goes through, in this order. */
const SETS = [{ set: 'repeat', queue: REPEATING }, ...AUTHORIZATION_QUEUES.map((queue) => ({ set: 'delayed', queue }))];

/**
 * The census of one part of BullMQ's keys in Redis (as of 6.7.0): `repeat` scores each scheduler's id with its next slot, `repeat:<id>` is its hash, and the
 * job of the slot is `repeat:<id>:<slot>`, whose wall time is the slot itself: the offset is in it already.
 */
export function createRedisCensus({
  redis,
  prefix,
}: {
  readonly redis: RedisClient;
  readonly prefix: string;
}): CensusPlace {
  const markKey = `${prefix}:mark`;
  return {
    look: async (ids) => {
      const names = AUTHORIZATION_QUEUES.join(' ');
      const args = ids.flatMap((id) => {
        const of = { prefix, authorizationId: id };
        return [id, jobIdOf(id), jobsOfKey(of), runsOfKey(of)];
      });
      const reply = lookReply.parse(await redis.eval(LOOK_SCRIPT, 1, markKey, prefix, REPEATING, names, ...args));
      return new Map(ids.map((id, index) => [id, toHeld(reply[index])]));
    },
    walk: async (after) => walk({ redis, prefix, after }),
    drop: async ({ queue, jobId }) => {
      const base = `${prefix}:${queue}:`;
      return (await redis.eval(DROP_SCRIPT, 1, `${base}delayed`, base, jobId)) === 1;
    },
    mark: () => redis.get(markKey),
    setMark: async (mark) => {
      await redis.set(markKey, mark);
    },
  };
}

function toHeld(reply: z.infer<typeof lookReply>[number] | undefined): Held {
  if (reply === undefined) return { scheduler: null, pending: { kind: 'gone' }, jobs: [] };
  const [next, every, offset, score, here, jobs] = reply;
  const scheduler = next === '' ? null : { every: Number(every), offset: Number(offset), next: Number(next) };
  return {
    scheduler,
    pending: score === '' ? { kind: here ? 'here' : 'gone' } : { kind: 'delayed', wakesAt: instantOf(score) },
    jobs: jobs.flatMap(([name, jobId, wakes]): HeldJob[] => {
      const queue = AUTHORIZATION_QUEUES.find((one) => one === name);
      return queue === undefined ? [] : [{ queue, jobId, wakesAt: wakes === '' ? null : instantOf(wakes) }];
    }),
  };
}

/** A place on the walk is the number of a set and the cursor in it. */
async function walk({
  redis,
  prefix,
  after,
}: {
  readonly redis: RedisClient;
  readonly prefix: string;
  readonly after: string | null;
}): Promise<FoundPage> {
  const [index = 0, cursor = 0] = (after ?? '').split('/').filter(Boolean).map(Number);
  const at = SETS[index];
  if (at === undefined) return { found: [], after: null };
  const { set, queue } = at;
  const key = `${prefix}:${queue}:${set}`;
  const [next, flat] = scanReply.parse(await redis.zscan(key, String(cursor), 'COUNT', WALK_COUNT));
  const entries = flat.flatMap((member, at) => (at % 2 === 0 ? [{ member, score: flat[at + 1] ?? '' }] : []));
  const found =
    set === 'repeat'
      ? entries.map(({ member }): Found => ({ kind: 'scheduler', authorizationId: member }))
      : await jobsAmong({ redis, prefix, queue, entries });
  const onward = next === '0' ? { index: index + 1, cursor: '0' } : { index, cursor: next };
  return { found, after: onward.index < SETS.length ? `${onward.index}/${onward.cursor}` : null };
}

async function jobsAmong({
  redis,
  prefix,
  queue,
  entries,
}: {
  readonly redis: RedisClient;
  readonly prefix: string;
  readonly queue: HeldJob['queue'];
  readonly entries: readonly { readonly member: string; readonly score: string }[];
}): Promise<readonly Found[]> {
  const ours = entries.flatMap(({ member: jobId, score }) => {
    const authorizationId = authorizationIn(jobId);
    return authorizationId === null ? [] : [{ authorizationId, jobId, wakesAt: instantOf(score) }];
  });
  if (ours.length === 0) return [];
  const ids = ours.map(({ authorizationId }) => authorizationId);
  const slots = queue === REPEATING ? await redis.zmscore(`${prefix}:${queue}:repeat`, ...ids) : [];
  return ours.map((job, index) => ({
    kind: 'job',
    queue,
    ...job,
    own: job.jobId === `repeat:${job.authorizationId}:${slots[index] ?? ''}`,
  }));
}
