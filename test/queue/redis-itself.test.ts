import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openQueueBackend } from '../../src/adapters/queue/backend.ts';
import { codeOf, PerennialError } from '../../src/core/errors.ts';
import { dropPrefix, findRedis, randomPrefix, sayWhenRedisIsMissing } from '../support/real-redis.ts';
import { silentProxy } from '../support/silent-proxy.ts';
import { type Bench, HOUR_MS, openBench, queueNamed, recorder, waitUntil } from './bench.ts';

/** Twice what a worker's connection is given to answer. */
const SILENT_CAP_MS = 30_000;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function failureOf(url: string): Promise<unknown> {
  try {
    await (await openQueueBackend({ place: { kind: 'redis', url }, prefix: 'test' })).close();
    return null;
  } catch (error) {
    return error;
  }
}

describe('a Redis that is away', () => {
  test.each([
    ['refuses', async () => ({ url: `redis://127.0.0.1:${await freePort()}`, end: async () => {} })],
    [
      'takes the connection and says nothing',
      async () => {
        const server = createServer(() => {}).listen(0, '127.0.0.1');
        await once(server, 'listening');
        const address = server.address();
        const port = typeof address === 'object' && address !== null ? address.port : 0;
        return {
          url: `redis://127.0.0.1:${port}`,
          end: async () => {
            server.close();
          },
        };
      },
    ],
  ])('that %s is queue_unreachable within 3 s, naming REDIS_URL and not its password', async (_, open) => {
    const { url, end } = await open();
    const began = performance.now();
    const error = await failureOf(url.replace('redis://', 'redis://user:canary-password@'));
    expect(performance.now() - began).toBeLessThan(3_000);
    expect(error).toMatchObject({ code: 'queue_unreachable', field: 'REDIS_URL' });
    expect(String(error)).not.toContain('canary');
    await end();
  });
});

const found = await findRedis();
const redis = { ...found, answers: found.answers && process.env['PERENNIAL_EMBEDDED_ONLY'] !== '1' };
const ownServers = spawnSync('redis-server', ['--version']).status === 0;
sayWhenRedisIsMissing(redis.answers);

if (redis.answers && !ownServers) {
  const required = process.env['PERENNIAL_REQUIRE_SERVICES'] === '1';
  (required ? test : test.skip)('SKIPPED: NO redis-server TO START, nothing about eviction was tested here', () => {
    expect(ownServers).toBe(true);
  });
}

describe.runIf(redis.answers && ownServers)('a Redis of our own', () => {
  const servers: ChildProcess[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) {
      const ended = once(server, 'exit');
      server.kill('SIGKILL');
      await ended;
    }
  });

  async function startRedis(policy: string): Promise<string> {
    const port = await freePort();
    const options = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--maxmemory-policy', policy];
    servers.push(spawn('redis-server', [...options, '--daemonize', 'no'], { stdio: 'ignore' }));
    const url = `redis://127.0.0.1:${port}`;
    await waitUntil('the server', async () => {
      const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null });
      client.on('error', () => {});
      try {
        await client.connect();
        return true;
      } catch {
        return false;
      } finally {
        client.disconnect();
      }
    });
    return url;
  }

  test.each(['allkeys-lru', 'volatile-ttl'])(
    'that may evict keys (%s) is refused, naming REDIS_URL',
    async (policy) => {
      const error = await failureOf(await startRedis(policy));
      expect(error).toBeInstanceOf(PerennialError);
      expect(error).toMatchObject({ code: 'queue_evicts', field: 'REDIS_URL' });
    },
  );

  test('control: the same server with noeviction is taken', async () => {
    expect(await failureOf(await startRedis('noeviction'))).toBeNull();
  });

  test('that dies fails every call at once with queue_unreachable, and works again when it is back', async () => {
    const url = await startRedis('noeviction');
    const backend = () => openQueueBackend({ place: { kind: 'redis', url }, prefix: 'test' });
    const bench = await openBench({ open: backend, tracesOf: null, losePending: null, dispose: async () => {} });
    const { queue } = bench;
    await queue.add({ queue: 'purge', authorizationId: 'a-1', reason: 'due' });
    const [server] = servers.splice(0);
    const ended = once(server ?? process, 'exit');
    server?.kill('SIGKILL');
    await ended;
    const calls = [
      () => queue.add({ queue: 'purge', authorizationId: 'a-2', reason: 'due' }),
      () => queue.schedule({ authorizationId: 'a-2', periodMs: HOUR_MS }),
      () => queue.remove('a-2'),
      () => queue.ping(),
    ];
    await waitUntil('the loss to be noticed', () =>
      queue.ping().then(
        () => false,
        () => true,
      ),
    );
    for (const call of calls) {
      const began = performance.now();
      expect(codeOf(await call().catch((error: unknown) => error))).toBe('queue_unreachable');
      expect(performance.now() - began).toBeLessThan(3_000);
    }
    const port = new URL(url).port;
    servers.push(spawn('redis-server', ['--port', port, '--bind', '127.0.0.1', '--save', ''], { stdio: 'ignore' }));
    await waitUntil('it to be back', () =>
      queue.ping().then(
        () => true,
        () => false,
      ),
    );
    await queue.add({ queue: 'purge', authorizationId: 'a-2', reason: 'due' });
    await bench.close();
  });
});

describe.runIf(redis.answers)('on Redis', () => {
  const prefix = randomPrefix().slice(0, 32);
  let bench: Bench;
  beforeEach(async () => {
    const open = () => openQueueBackend({ place: { kind: 'redis', url: redis.url }, prefix });
    bench = await openBench({ open, tracesOf: null, losePending: null, dispose: async () => {} });
  });
  afterEach(async () => {
    await bench.tidy();
    await bench.close();
    await dropPrefix(redis.url, prefix);
  });

  test('a connection that goes silent fails a call within 3 s', async () => {
    const proxy = await silentProxy(new URL(redis.url));
    const open = () => openQueueBackend({ place: { kind: 'redis', url: proxy.url }, prefix });
    const silent = await openBench({ open, tracesOf: null, losePending: null, dispose: async () => {} });
    proxy.silence();
    const began = performance.now();
    await expect(silent.queue.ping()).rejects.toMatchObject({ code: 'queue_unreachable' });
    expect(performance.now() - began).toBeLessThan(3_000);
    await proxy.close();
    await silent.close();
  });

  test('connections that go silent are made again, those of workers too', { timeout: 60_000 }, async () => {
    const proxy = await silentProxy(new URL(redis.url));
    const open = () => openQueueBackend({ place: { kind: 'redis', url: proxy.url }, prefix });
    const silent = await openBench({ open, tracesOf: null, losePending: null, dispose: async () => {} });
    const runs = recorder('fetch-once');
    silent.start([runs.definition]);
    const [before, after] = [silent.newId('before'), silent.newId('after')];
    const add = (authorizationId: string) =>
      silent.queue.add({ queue: 'fetch-once', authorizationId, reason: 'accepted' });
    await add(before);
    await waitUntil('the first run', async () => runs.runsOf(before).length === 1);
    proxy.silence();
    const isTaken = () =>
      add(after).then(
        () => true,
        () => false,
      );
    await waitUntil('a job is taken', isTaken, SILENT_CAP_MS);
    await waitUntil('it runs', async () => runs.runsOf(after).length >= 1, SILENT_CAP_MS);
    await silent.close();
    await proxy.close();
  });

  test('after all of its keys were lost, the same workers and queues go on with what is scheduled and added again', async () => {
    const { queue, start, newId } = bench;
    const id = newId();
    const runs = recorder('refresh-and-pull');
    const purges = recorder('purge');
    start([runs.definition, purges.definition]);
    await queue.schedule({ authorizationId: id, periodMs: HOUR_MS });
    await queue.add({ queue: 'purge', authorizationId: id, reason: 'due', delayMs: HOUR_MS });
    await dropPrefix(redis.url, prefix);
    expect(await queue.isScheduled(id)).toBe(false);
    await queue.schedule({ authorizationId: id, periodMs: 300 });
    await queue.add({ queue: 'purge', authorizationId: id, reason: 'repaired' });
    await waitUntil('runs of both', () => runs.runsOf(id).length >= 2 && purges.runsOf(id).length === 1);
  });

  test('the streams of events outlive a job with its id, its fixed code and no return value', async () => {
    const { queue, start, newId } = bench;
    const [done, failed] = [newId('done'), newId('failed')];
    start([
      {
        queue: 'fetch-once',
        run: async ({ payload }) => {
          if (payload['authorizationId'] === done) return { kind: 'done', reason: 'canary-reason' };
          throw new Error('canary-refresh-9c1d');
        },
      },
    ]);
    for (const id of [done, failed]) await queue.add({ queue: 'fetch-once', authorizationId: id, reason: 'accepted' });
    const client = new Redis(redis.url);
    const stream = async () =>
      (await client.xrange(`${prefix}:fetch-once:events`, '-', '+')).map(([, fields]) => fields);
    await waitUntil('both ends', async () => {
      const text = JSON.stringify(await stream());
      return text.includes('"completed"') && text.includes('"failed"');
    });
    for (const id of [done, failed]) await queue.remove(id);
    const entries = await stream();
    client.disconnect();
    const fieldsOf = (event: string) => {
      const entry = entries.find((fields) => fields[fields.indexOf('event') + 1] === event) ?? [];
      return Object.fromEntries(
        Array.from({ length: entry.length / 2 }, (_, at) => [entry[2 * at], entry[2 * at + 1]]),
      );
    };
    expect(fieldsOf('completed')).toMatchObject({ jobId: `once.${done}`, returnvalue: 'null' });
    expect(fieldsOf('failed')).toMatchObject({ jobId: `once.${failed}`, failedReason: 'internal' });
    expect(JSON.stringify(entries)).not.toContain('canary');
    const names = new Set(entries.flatMap((fields) => fields.filter((_, at) => at % 2 === 0)));
    expect(
      [...names].filter(
        (name) =>
          !['event', 'jobId', 'name', 'prev', 'delay', 'returnvalue', 'failedReason', 'attemptsMade'].includes(name),
      ),
    ).toEqual([]);
  });

  test('each stream of events is capped', async () => {
    const { queue } = bench;
    const client = new Redis(redis.url);
    expect(await client.hget(`${prefix}:purge:meta`, 'opts.maxLenEvents')).toBe('1000');
    client.disconnect();
    expect(queueNamed(bench, 'purge', 'any').name).toBe('purge');
    await queue.ping();
  });
});
