import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openQueueBackend } from '../../src/adapters/queue/backend.ts';
import { becomesUsable, connectRedis, mastersOf, type RedisClient } from '../../src/adapters/queue/redis-connect.ts';
import { parseRedisUrl } from '../../src/contract/redis-address.ts';
import { codeOf } from '../../src/core/errors.ts';
import type { Gates } from '../../src/core/ports/gates.ts';
import { gatesAt, gatesContract, handClock } from '../contract/gates.contract.ts';
import { type OwnCluster, startOwnCluster } from '../support/own-cluster.ts';
import { sayWhenOwnServersAreMissing } from '../support/own-servers.ts';
import { HOUR_MS, openBench, recorder, waitUntil } from './bench.ts';
import { queueContract } from './queue.contract.ts';
import { redisPlace } from './redis-place.ts';

const SHARDS = 4;
const PRODUCER = { connectTimeoutMs: 2_000, commandTimeoutMs: 2_500, waits: false, reconnects: true } as const;

const here = sayWhenOwnServersAreMissing();
const cluster: OwnCluster | null = here ? await startOwnCluster() : null;

describe.runIf(cluster !== null)('a Redis Cluster of three masters', () => {
  afterAll(() => cluster?.close());
  const { url, nodes, reaches } = cluster ?? { url: '', nodes: [], reaches: async () => {} };
  const nodeUrls = nodes.map(({ port }) => `redis://127.0.0.1:${port}`);

  queueContract('WorkQueue on a Redis Cluster with four shards', async () =>
    redisPlace({ url, nodeUrls, shards: SHARDS }),
  );

  describe('its gates', () => {
    const clock = handClock();
    const connections: RedisClient[] = [];
    const fleet: Gates[] = [];
    beforeAll(async () => {
      for (let process = 0; process < 2; process += 1) {
        const address = parseRedisUrl(url);
        if (address === null) throw new Error('no address');
        const client = connectRedis({ address, manners: PRODUCER });
        expect(await becomesUsable({ client, withinMs: 10_000 })).toBe(true);
        connections.push(client);
        fleet.push(gatesAt({ redis: client, prefix: 'gates', clock }));
      }
    });
    afterAll(async () => {
      for (const gates of fleet) await gates.close();
      for (const client of connections) client.disconnect();
    });
    gatesContract('shared by two processes', () => {
      const [left, right] = fleet;
      if (left === undefined || right === undefined) throw new Error('no gates');
      return { clock, both: [left, right] };
    });
  });

  test('what one turn of the event loop has for a master goes out in one piece', async () => {
    const address = parseRedisUrl(url);
    if (address === null) throw new Error('no address');
    const client = connectRedis({ address, manners: PRODUCER });
    expect(await becomesUsable({ client, withinMs: 10_000 })).toBe(true);
    const masters = mastersOf(client);
    expect(masters).toHaveLength(3);
    await Promise.all(masters.map((master) => master.ping()));
    const corked = masters.map((master) => {
      const answered = Promise.all([master.ping(), master.ping()]);
      return { answered, times: master.stream.writableCorked };
    });
    expect(corked.map(({ times }) => times)).toEqual([1, 1, 1]);
    for (const { answered } of corked) expect(await answered).toEqual(['PONG', 'PONG']);
    client.disconnect();
  });

  test('all keys of one authorization lie in one slot, and many authorizations on every master', async () => {
    const place = redisPlace({ url, nodeUrls, shards: 16, prefix: 'spread' });
    const bench = await openBench(place);
    const ids = Array.from({ length: 60 }, () => bench.newId());
    await Promise.all(ids.map((id) => bench.queue.schedule({ authorizationId: id, periodMs: HOUR_MS })));
    const loads = await Promise.all(nodes.map(({ redis }) => redis.keys('*spread*:refresh-and-pull:repeat:*')));
    expect(loads.every((keys) => keys.length > 0)).toBe(true);
    const slots = new Set<unknown>();
    for (const key of loads.flat().filter((one) => one.includes(`:repeat:${ids[0]}`)))
      slots.add(await nodes[0]?.redis.call('CLUSTER', 'KEYSLOT', key));
    expect(slots.size).toBe(1);
    await bench.tidy();
    await bench.close();
    await place.dispose();
  });

  test('control: without a hash tag a queue is refused by the Cluster', async () => {
    const backend = await openQueueBackend({ place: { kind: 'redis', url, shards: SHARDS }, prefix: 'untagged' });
    const queue = backend.createQueue({ name: 'purge', shard: { prefix: 'untagged' } });
    queue.on('error', () => {});
    await expect(queue.add('purge', { authorizationId: 'a' })).rejects.toThrow(/CROSSSLOT/);
    await queue.close();
    await backend.close();
  });

  test('one master may evict: the Cluster is refused, naming REDIS_URL', async () => {
    await nodes[2]?.redis.config('SET', 'maxmemory-policy', 'allkeys-lru');
    const opening = openQueueBackend({ place: { kind: 'redis', url }, prefix: 'evicts' });
    await expect(opening).rejects.toMatchObject({ code: 'queue_evicts', field: 'REDIS_URL' });
    await nodes[2]?.redis.config('SET', 'maxmemory-policy', 'noeviction');
  });

  test('a master that dies fails the calls of its shards within 3 s and no others, and they work when it is back with what it held', async () => {
    const place = redisPlace({ url, nodeUrls, shards: 16, prefix: 'loss' });
    const bench = await openBench(place);
    const { queue } = bench;
    const purges = recorder('purge');
    bench.start([purges.definition]);
    const [lost] = nodes;
    if (lost === undefined) throw new Error('no node');
    const ids = Array.from({ length: 40 }, () => bench.newId());
    for (const id of ids) await queue.schedule({ authorizationId: id, periodMs: HOUR_MS });
    const onLost = (await lost.redis.keys('*loss*:refresh-and-pull:repeat:*')).join(' ');
    const away = ids.filter((id) => onLost.includes(`:${id}`));
    const there = ids.filter((id) => !onLost.includes(`:${id}`));
    expect(Math.min(away.length, there.length)).toBeGreaterThan(2);

    await lost.kill();
    await waitUntil('the loss to be noticed', () =>
      queue.isScheduled(away[0] ?? '').then(
        () => false,
        () => true,
      ),
    );
    for (const id of away.slice(0, 2)) {
      const began = performance.now();
      const error: unknown = await queue.isScheduled(id).catch((reason: unknown) => reason);
      expect(codeOf(error)).toBe('queue_unreachable');
      expect(performance.now() - began).toBeLessThan(3_000);
    }
    const add = (id: string) => queue.add({ queue: 'purge', authorizationId: id, reason: 'due' });
    const reached = async (id: string) =>
      add(id).then(
        () => true,
        () => false,
      );
    await waitUntil('the others to be reached', async () => (await Promise.all(there.map(reached))).every(Boolean));
    await waitUntil('the runs of the others', () => there.every((id) => purges.runsOf(id).length > 0));

    await lost.revive();
    await reaches('ok');
    await waitUntil('the lost ones to be reached', async () => (await Promise.all(away.map(reached))).every(Boolean));
    expect(await Promise.all(ids.map((id) => queue.isScheduled(id)))).toEqual(ids.map(() => true));
    await waitUntil('their runs', () => away.every((id) => purges.runsOf(id).length > 0));
    await bench.tidy();
    await bench.close();
    await place.dispose();
  });
});
