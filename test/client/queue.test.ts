import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createIntakeKey, createOpener, intakeJobSchema } from '../../src/adapters/intake/seal.ts';
import { openQueueBackend } from '../../src/adapters/queue/backend.ts';
import { createWorkQueue } from '../../src/adapters/queue/work-queue.ts';
import { createClock } from '../../src/adapters/system/clock.ts';
import { createClient } from '../../src/client.ts';
import { CANARIES, requestOf } from '../support/fake-service.ts';
import { dropPrefix, findRedis, randomPrefix, sayWhenRedisIsMissing } from '../support/real-redis.ts';
import { KEY, startWeb } from '../support/web.ts';

const silent = { info: () => {}, warn: () => {}, error: () => {} };
const key = await createIntakeKey();
const open = createOpener({ privateJwks: [{ kid: key.kid, jwk: key.privateJwk }] });

/** A TCP way to a port that can be taken away and given back. */
async function createRelay(targetPort: number) {
  const sockets = new Set<Socket>();
  let server: Server | null = null;
  let port = 0;
  const up = () =>
    new Promise<void>((resolve) => {
      server = createServer((near) => {
        const far = connect(targetPort, '127.0.0.1');
        for (const socket of [near, far]) {
          sockets.add(socket);
          socket.on('error', () => {}).on('close', () => sockets.delete(socket));
        }
        near.pipe(far).pipe(near);
      });
      server.listen(port, '127.0.0.1', () => {
        const address = server?.address();
        port = typeof address === 'object' && address !== null ? address.port : 0;
        resolve();
      });
    });
  const down = async () => {
    const closed = new Promise((resolve) => server?.close(resolve));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  await up();
  return { up, down, url: () => `redis://127.0.0.1:${port}` };
}

test('with Redis away a call fails in under 3 s with queue_unreachable, and nothing is thrown elsewhere', async () => {
  const heard: unknown[] = [];
  const hear = (error: unknown) => heard.push(error);
  process.on('uncaughtException', hear).on('unhandledRejection', hear);
  const client = createClient({ redisUrl: 'redis://127.0.0.1:1', workerKey: key.publicJwk, service: 'portal' });
  const began = performance.now();
  await expect(client.enqueue(requestOf('q-1'))).rejects.toMatchObject({ code: 'queue_unreachable' });
  expect(performance.now() - began).toBeLessThan(3_000);
  await expect(client.status('q-1')).rejects.toMatchObject({
    code: 'config_invalid',
    field: expect.stringContaining('url'),
  });
  await client.close();
  await wait(50);
  process.off('uncaughtException', hear).off('unhandledRejection', hear);
  expect(heard).toEqual([]);
});

const redis = await findRedis();
sayWhenRedisIsMissing(redis.answers);
describe.runIf(redis.answers)('through a real Redis', () => {
  const prefix = randomPrefix();
  const options = { redisUrl: redis.url, workerKey: key.publicJwk, queuePrefix: prefix, service: 'portal' } as const;
  let connection: Redis;
  let queue: Queue;
  beforeAll(() => {
    connection = new Redis(redis.url, { maxRetriesPerRequest: null });
    queue = new Queue('intake', { connection, prefix });
  });
  afterAll(async () => {
    await queue.close();
    connection.disconnect();
    await dropPrefix(redis.url, prefix);
  });
  const enqueued = async (client: ReturnType<typeof createClient>, id: string) => {
    const sent = await client.enqueue(requestOf(id));
    if (sent.via !== 'queue') throw new Error('it went another way');
    return sent;
  };

  test('a request is enqueued sealed: no key of Redis holds a token or the patient, and the worker can open it', async () => {
    const client = createClient(options);
    const { jobId } = await enqueued(client, 'q-1');
    const job = await queue.getJob(jobId);
    expect(Object.keys(job?.data).toSorted()).toEqual(['authorizationId', 'sealed', 'service']);
    expect(job?.opts).toMatchObject({ attempts: 1, removeOnComplete: { age: 3_600, count: 1_000 } });
    expect(await open(intakeJobSchema.parse(job?.data).sealed ?? '')).toEqual(requestOf('q-1'));
    const raw = JSON.stringify(await connection.hgetall(`${prefix}:intake:${jobId}`));
    for (const canary of CANARIES) expect(raw).not.toContain(canary);
    await client.close();
  });

  test('outcome tells waiting, accepted, refused with its code, and gone', async () => {
    const client = createClient(options);
    const good = await enqueued(client, 'q-good');
    const bad = await enqueued(client, 'q-bad');
    const odd = await enqueued(client, 'q-odd');
    expect(await client.outcome(good.jobId, { timeoutMs: 0 })).toBe('waiting');
    const worker = new Worker(
      'intake',
      async ({ data }) => {
        if (data.authorizationId === 'q-bad') throw new Error('unknown_source');
        if (data.authorizationId === 'q-odd') throw new Error('canary text');
      },
      { connection, prefix },
    );
    expect(await client.outcome(good.jobId, { timeoutMs: 5_000 })).toBe('accepted');
    expect(await client.outcome(bad.jobId, { timeoutMs: 5_000 })).toEqual({ refused: 'unknown_source' });
    expect(await client.outcome(odd.jobId, { timeoutMs: 5_000 })).toEqual({ refused: 'internal' });
    expect(await client.outcome('no-such-job', { timeoutMs: 0 })).toBe('gone');
    await worker.close();
    await client.close();
  });

  test('cancel goes through the queue with ids only; with a url it goes by HTTP, and so do status and pull', async () => {
    const client = createClient(options);
    const sent = await client.cancel('q-1');
    if (sent.via !== 'queue') throw new Error('it went another way');
    const job = await queue.getJob(sent.jobId);
    expect([job?.name, job?.data]).toEqual(['cancel', { authorizationId: 'q-1', service: 'portal' }]);
    await client.close();
    const web = await startWeb();
    const both = createClient({ ...options, url: web.url, apiKey: KEY });
    await web.service.accept({ request: requestOf('q-1'), actor: 'test' });
    expect(await both.status('q-1')).toMatchObject({ id: 'q-1' });
    expect(await both.cancel('q-1')).toEqual({ id: 'q-1', via: 'http' });
    expect((await both.enqueue(requestOf('q-2'))).via).toBe('queue');
    await both.close();
    await web.close();
  });

  test('what was handed in and waits is found by a sweep of its authorization, and what others handed in stays', async () => {
    const client = createClient(options);
    const [own, other] = [await enqueued(client, 'q-swept'), await enqueued(client, 'q-swept-not')];
    const cancelled = await client.cancel('q-swept');
    if (cancelled.via !== 'queue') throw new Error('it went another way');
    const place = { kind: 'redis', url: redis.url } as const;
    const backend = await openQueueBackend({ place, prefix });
    const work = createWorkQueue({ backend, clock: createClock({ epochMs: 0, speed: 1 }), log: silent });
    await work.ready();
    expect(await work.traces('q-swept')).toBeGreaterThan(0);
    expect(await work.sweep('q-swept')).toMatchObject({ jobs: 2 });
    expect(await work.traces('q-swept')).toBe(0);
    for (const { jobId } of [own, cancelled]) expect(await client.outcome(jobId, { timeoutMs: 0 })).toBe('gone');
    expect(await client.outcome(other.jobId, { timeoutMs: 0 })).toBe('waiting');
    expect(await connection.keys(`${prefix}:*q-swept`)).toEqual([]);
    await work.close();
    await backend.close();
    await client.close();
  });

  test('it fails fast while Redis is away and works again when it is back', async () => {
    const relay = await createRelay(Number(new URL(redis.url).port) || 6_379);
    const client = createClient({ ...options, redisUrl: relay.url() });
    await enqueued(client, 'q-before');
    await relay.down();
    const began = performance.now();
    await expect(client.enqueue(requestOf('q-during'))).rejects.toMatchObject({ code: 'queue_unreachable' });
    expect(performance.now() - began).toBeLessThan(3_000);
    await relay.up();
    await enqueued(client, 'q-after');
    await client.close();
    await relay.down();
  });

  test('a client made while Redis is away works once it is there', async () => {
    const relay = await createRelay(Number(new URL(redis.url).port) || 6_379);
    await relay.down();
    const client = createClient({ ...options, redisUrl: relay.url() });
    await expect(client.enqueue(requestOf('q-early'))).rejects.toMatchObject({ code: 'queue_unreachable' });
    await relay.up();
    await enqueued(client, 'q-late');
    await client.close();
    await relay.down();
  });
});
