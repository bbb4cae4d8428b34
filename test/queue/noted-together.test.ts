import { Redis } from 'ioredis';
import { afterAll, describe, expect, test } from 'vitest';
import { openQueueBackend } from '../../src/adapters/queue/backend.ts';
import { runsOfKey } from '../../src/contract/queue-keys.ts';
import { dropPrefix, findRedis, randomPrefix, sayWhenRedisIsMissing } from '../support/real-redis.ts';
import { waitUntil } from './bench.ts';

/** More than go in one call. */
const MANY = 150;
const AT = 1_700_000_000_000;

const { url, answers } = await findRedis();
sayWhenRedisIsMissing(answers);

describe.skipIf(!answers)('runs that are noted at the same moment', () => {
  const prefix = randomPrefix();
  const redis = new Redis(url, { lazyConnect: true });
  afterAll(async () => {
    redis.disconnect();
    await dropPrefix(url, prefix);
  });

  test('are each noted under their own authorization, and only those that are still there stay noted', async () => {
    const backend = await openQueueBackend({ place: { kind: 'redis', url }, prefix });
    await waitUntil('the connection', backend.isUsable);
    const runs = Array.from({ length: MANY }, (_, nth) => ({ authorizationId: `one-${nth}`, at: AT + nth }));
    const idOf = ({ authorizationId, at }: (typeof runs)[number]) => `repeat:${authorizationId}:${at}`;
    const noteAll = (all: typeof runs) =>
      Promise.all(
        all.map((run) => {
          const { authorizationId } = run;
          return backend.trail.note({
            queue: 'refresh-and-pull',
            shard: { prefix },
            jobId: idOf(run),
            authorizationId,
          });
        }),
      );
    const notedOf = () =>
      Promise.all(runs.map(({ authorizationId }) => redis.zrange(runsOfKey({ prefix, authorizationId }), '0', '-1')));
    await noteAll(runs);
    expect(await notedOf()).toEqual(runs.map(({ at }) => [String(at)]));
    // Of every second one the run is kept for people; the others are gone.
    for (const run of runs.filter((_, nth) => nth % 2 === 0)) {
      await redis.hset(`${prefix}:refresh-and-pull:${idOf(run)}`, 'name', 'kept');
    }
    await noteAll(runs.map(({ at, ...run }) => ({ ...run, at: at + MANY })));
    const later = ({ at }: { readonly at: number }) => String(at + MANY);
    expect(await notedOf()).toEqual(
      runs.map((run, nth) => (nth % 2 === 0 ? [String(run.at), later(run)] : [later(run)])),
    );
    await backend.close();
  });
});
