import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { emptyLayout } from '../../src/adapters/queue/empty.ts';
import { createShardKeeper, type ShardKeeper } from '../../src/adapters/queue/shard-keeper.ts';
import { JOB_REASONS, type JobReason } from '../../src/core/ports/queue.ts';
import { dropPrefix, findRedis, keysUnder, randomPrefix, sayWhenRedisIsMissing } from '../support/real-redis.ts';
import { type Bench, clock, expectNear, HOUR_MS, intakeOf, openBench, recorder, staysSo, waitUntil } from './bench.ts';
import { redisPlace } from './redis-place.ts';

const found = await findRedis();
const redis = { ...found, answers: found.answers && process.env['PERENNIAL_EMBEDDED_ONLY'] !== '1' };
sayWhenRedisIsMissing(redis.answers);

/** Of every kind some. */
const reasonOf = (index: number): JobReason => JOB_REASONS[index % JOB_REASONS.length] ?? 'due';

type House = Bench & { readonly keeper: ShardKeeper };

describe.runIf(redis.answers)('another number of shards', () => {
  const client = redis.answers ? new Redis(redis.url) : null;
  let prefix = '';
  const houses: House[] = [];
  beforeEach(() => {
    prefix = randomPrefix().slice(0, 32);
  });
  afterEach(async () => {
    for (const house of houses.splice(0)) {
      await house.tidy();
      await house.close();
    }
    await dropPrefix(redis.url, prefix);
  });
  afterAll(() => client?.disconnect());

  const open = async (shards: number): Promise<House> => {
    const bench = await openBench(redisPlace({ url: redis.url, shards, prefix }));
    const keeper = createShardKeeper({ backend: bench.backend, queue: bench.queue, clock });
    if (keeper === null) throw new Error('no keeper');
    const house = { ...bench, keeper };
    houses.push(house);
    return house;
  };
  /** As if no worker had taken from the layout for longer than it takes to be given up. */
  const age = async (shards: number) => void (await client?.zadd(`${prefix}:layouts`, 0, String(shards)));
  const keysOf = async (start: string) => {
    const keys: string[] = [];
    if (client !== null) for await (const page of keysUnder({ redis: client, prefix })) keys.push(...page);
    return keys.filter((key) => key.startsWith(start)).toSorted();
  };
  /** What became of the layout of so many shards; one of a single shard counts as used before, where no note says otherwise. */
  const emptied = async (house: House, shards: number, goesOn = async () => true) =>
    (await house.keeper.empty({ goesOn })).filter((one) => one.shards === shards);
  const jobIn = async ({ queue }: House, name: 'purge' | 'fetch-once' | 'refresh-and-pull', id: string) => {
    const job = await queue.queueOf(name, id).getJob(`once.${id}`);
    return job === undefined ? null : { reason: job.data['reason'], wakesAt: job.timestamp + job.delay };
  };

  test('1, 4 and 2 shards one after the other: every job that was added once moves with its reason and its time, runs once, and nothing is left', async () => {
    const one = await open(1);
    const ids = Array.from({ length: 30 }, () => one.newId('moved'));
    const wanted = new Map<string, number>();
    const soon = Date.now() + 20_000;
    for (const [index, id] of ids.entries()) {
      await one.queue.schedule({ authorizationId: id, periodMs: HOUR_MS });
      await one.queue.add({ queue: 'refresh-and-pull', authorizationId: id, reason: reasonOf(index) });
      const delayMs = soon - Date.now() + index * 10;
      wanted.set(id, Date.now() + delayMs);
      await one.queue.add({ queue: 'purge', authorizationId: id, reason: 'due', delayMs });
    }
    await intakeOf(one).add('accept', { authorizationId: 'handed-in', service: 'test' });
    let from = one;
    for (const shards of [4, 2]) {
      await from.keeper.use({ takes: true });
      const next = await open(shards);
      await next.keeper.use({ takes: true });
      // Side by side: nothing is given up while a worker of the other may take from it.
      expect(await emptied(next, from.backend.layout.shards.length)).toEqual([]);
      await age(from.backend.layout.shards.length);
      expect(await emptied(next, from.backend.layout.shards.length)).toEqual([
        { shards: from.backend.layout.shards.length, moved: 2 * ids.length, done: true },
      ]);
      for (const [index, id] of ids.entries()) {
        expect(await jobIn(next, 'refresh-and-pull', id)).toMatchObject({ reason: reasonOf(index) });
        const purge = await jobIn(next, 'purge', id);
        expect(purge?.reason).toBe('due');
        expectNear(purge?.wakesAt ?? 0, wanted.get(id) ?? 0, 100);
      }
      const old =
        from === one
          ? [`${prefix}:refresh`, `${prefix}:purge`, `${prefix}:jobs-of`, `${prefix}:runs-of`]
          : [`{${prefix}:`];
      for (const start of old)
        expect((await keysOf(start)).filter((key) => !key.includes(`-of-${shards}}`))).toEqual([]);
      expect(await client?.zrange(`${prefix}:layouts`, '0', '-1')).toEqual([String(shards)]);
      // What others handed in lies elsewhere and stays.
      expect(await intakeOf(next).getJobCounts('waiting')).toEqual({ waiting: 1 });
      from = next;
    }
    const runs = recorder('refresh-and-pull');
    from.start([runs.definition]);
    await waitUntil('all runs', () => ids.every((id) => runs.runsOf(id).length > 0));
    await staysSo(300, () => expect(runs.runs).toHaveLength(ids.length));
  });

  test('a purge looks in the shards of before too, until they are empty; control: a look at the own ones alone finds nothing', async () => {
    const before = await open(4);
    await before.keeper.use({ takes: true });
    const [swept, kept] = [before.newId('swept'), before.newId('kept')];
    for (const id of [swept, kept]) {
      await before.queue.schedule({ authorizationId: id, periodMs: HOUR_MS });
      await before.queue.add({ queue: 'fetch-once', authorizationId: id, reason: 'accepted' });
    }
    const after = await open(2);
    expect(await after.queue.isScheduled(swept)).toBe(false);
    expect(await after.queue.queueOf('fetch-once', swept).getJob(`once.${swept}`)).toBeUndefined();
    expect(await after.queue.traces(swept)).toBeGreaterThan(0);
    expect((await after.queue.sweep(swept)).jobs).toBeGreaterThan(1);
    expect(await after.queue.traces(swept)).toBe(0);
    expect(await redisPlace({ url: redis.url, prefix }).tracesOf?.(swept)).toEqual([]);
    expect(await before.queue.isScheduled(kept)).toBe(true);
  });

  test('an authorization that is purged while its shard is emptied is not brought back; control: without taking back it is', async () => {
    const before = await open(4);
    const [purged, control] = [before.newId('purged'), before.newId('control')];
    for (const id of [purged, control])
      await before.queue.add({ queue: 'fetch-once', authorizationId: id, reason: 'accepted' });
    const after = await open(2);
    const emptying = {
      redis: after.backend.redis ?? client ?? new Redis(),
      layout: before.backend.layout,
      // The purge comes between the look at the job and its move.
      add: async ({ queue, authorizationId, reason }: Parameters<Parameters<typeof emptyLayout>[0]['add']>[0]) => {
        await after.queue.sweep(authorizationId);
        await after.queue.add({ queue, authorizationId, reason });
      },
      goesOn: async () => true,
    };
    await emptyLayout({
      ...emptying,
      takeBack: async (id) => (id === purged ? after.queue.remove(id) : undefined),
    });
    expect(await jobIn(after, 'fetch-once', purged)).toBeNull();
    expect(await jobIn(after, 'fetch-once', control)).not.toBeNull();
    await after.queue.sweep(purged);
    expect(await redisPlace({ url: redis.url, prefix }).tracesOf?.(purged)).toEqual([]);
  });

  test('shards that are used again are left alone, also in the middle', async () => {
    const before = await open(4);
    const ids = Array.from({ length: 20 }, () => before.newId());
    for (const id of ids)
      await before.queue.add({ queue: 'purge', authorizationId: id, reason: 'due', delayMs: HOUR_MS });
    const after = await open(2);
    await age(4);
    let steps = 0;
    const goesOn = async () => {
      steps += 1;
      if (steps === 3) await before.keeper.use({ takes: true });
      return true;
    };
    const [end] = await emptied(after, 4, goesOn);
    expect(end).toMatchObject({ shards: 4, done: false });
    expect(await client?.zrange(`${prefix}:layouts`, '0', '-1')).toContain('4');
    const left = await Promise.all(ids.flatMap((id) => [jobIn(before, 'purge', id), jobIn(after, 'purge', id)]));
    expect(left.filter((job) => job !== null)).toHaveLength(ids.length);
  });

  test('a job that a dead worker held moves too, and the late end of a frozen one harms nobody', async () => {
    const before = await open(4);
    const id = before.newId();
    const { promise, resolve } = Promise.withResolvers<void>();
    let running = false;
    before.start([
      {
        queue: 'fetch-once',
        run: async () => {
          running = true;
          await promise;
          return { kind: 'done', reason: 'late' };
        },
      },
    ]);
    await before.queue.add({ queue: 'fetch-once', authorizationId: id, reason: 'accepted' });
    await waitUntil('the run', () => running);
    const after = await open(2);
    await age(4);
    expect(await emptied(after, 4)).toEqual([{ shards: 4, moved: 1, done: true }]);
    const runs = recorder('fetch-once');
    after.start([runs.definition]);
    await waitUntil('its run where it lies now', () => runs.runsOf(id).length === 1);
    resolve();
    await before.tidy();
    await after.queue.sweep(id);
    await waitUntil('no trace', async () => (await after.queue.traces(id)) === 0);
  });
});
