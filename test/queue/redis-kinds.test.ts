import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { openQueueBackend } from '../../src/adapters/queue/backend.ts';
import { codeOf } from '../../src/core/errors.ts';
import { type OwnServers, openServers, sayWhenOwnServersAreMissing } from '../support/own-servers.ts';
import { freePort } from '../support/processes.ts';
import { until } from '../support/system-until.ts';
import { canMakeCertificates, makeTlsFiles } from '../support/tls-files.ts';
import { HOUR_MS, openBench, recorder, waitUntil } from './bench.ts';
import { redisPlace } from './redis-place.ts';

const here = sayWhenOwnServersAreMissing();
const opened: OwnServers[] = [];
afterAll(async () => {
  for (const servers of opened.splice(0)) await servers.close();
});
const own = async (): Promise<OwnServers> => {
  const servers = await openServers();
  opened.push(servers);
  return servers;
};

describe.runIf(here)('a master that a Sentinel names', () => {
  test('serves by the URL, and after a failover the new one does, with what the old one held', {
    timeout: 40_000,
  }, async () => {
    const servers = await own();
    const password = ['--requirepass', 'canary-secret', '--masterauth', 'canary-secret'];
    const master = await servers.start(password, { password: 'canary-secret' });
    const replica = await servers.start([...password, '--replicaof', '127.0.0.1', String(master.port)], {
      password: 'canary-secret',
    });
    const port = await freePort();
    const file = join(servers.folder, 'sentinel.conf');
    await writeFile(
      file,
      [
        `sentinel monitor main 127.0.0.1 ${master.port} 1`,
        'sentinel auth-pass main canary-secret',
        'sentinel down-after-milliseconds main 1000',
        'sentinel failover-timeout main 5000',
        '',
      ].join('\n'),
    );
    const sentinel = await servers.start([file, '--sentinel'], { port });
    await until(
      'the sentinel knows the replica',
      async () => String(await sentinel.redis.call('SENTINEL', 'REPLICAS', 'main')),
      (told) => told.includes(String(replica.port)) && told.includes('master-link-status,ok'),
    );

    const url = `redis+sentinel://:canary-secret@127.0.0.1:1,127.0.0.1:${port}/main`;
    const bench = await openBench(redisPlace({ url, nodeUrls: [], prefix: 'sentinel' }));
    const { queue, start } = bench;
    const id = bench.newId();
    const purges = recorder('purge');
    start([purges.definition]);
    await queue.schedule({ authorizationId: id, periodMs: HOUR_MS });
    expect((await master.redis.keys('sentinel:*')).length).toBeGreaterThan(3);

    await sentinel.redis.call('SENTINEL', 'FAILOVER', 'main');
    await until(
      'the replica is the master',
      () => replica.redis.role(),
      ([role]) => role === 'master',
    );
    await until(
      'the old master is a replica',
      () => master.redis.role(),
      ([role]) => role === 'slave',
    );
    await waitUntil('the new master to be used', async () => {
      try {
        await queue.add({ queue: 'purge', authorizationId: id, reason: 'due' });
        return true;
      } catch (error) {
        expect(codeOf(error)).toBe('queue_unreachable');
        return false;
      }
    });
    expect(await queue.isScheduled(id)).toBe(true);
    await waitUntil('a run by the same worker', () => purges.runsOf(id).length > 0);
    await bench.tidy();
    await bench.close();
  });

  test('that no Sentinel names is queue_unreachable within 3 s', async () => {
    const url = 'redis+sentinel://:canary-secret@127.0.0.1:1,127.0.0.1:2/main';
    const began = performance.now();
    const error: unknown = await openQueueBackend({ place: { kind: 'redis', url }, prefix: 'x' }).catch(
      (reason) => reason,
    );
    expect(error).toMatchObject({ code: 'queue_unreachable', field: 'REDIS_URL' });
    expect(String(error)).not.toContain('canary');
    expect(performance.now() - began).toBeLessThan(3_000);
  });
});

const OPENED = `
  import { openQueueBackend } from './src/adapters/queue/backend.ts';
  const [, url] = process.argv;
  try {
    const backend = await openQueueBackend({ place: { kind: 'redis', url }, prefix: 'tls' });
    const queue = backend.createQueue({ name: 'purge', shard: backend.layout.shards[0] });
    queue.on('error', () => {});
    await queue.add('purge', { authorizationId: 'by-tls', reason: 'due' }, { jobId: 'once.by-tls' });
    console.log('added ' + (await queue.getJobCounts('waiting')).waiting);
    await queue.close();
    await backend.close();
  } catch (error) {
    console.log(error.code);
  }
  process.exit();
`;

/** A process of its own, since Node reads the authorities that it trusts at its start. */
async function openedBy(url: string, env: NodeJS.ProcessEnv): Promise<string> {
  const run = promisify(execFile);
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', OPENED, url], {
    env: { ...process.env, ...env },
  });
  return stdout.trim();
}

describe.runIf(here && canMakeCertificates)('a Redis behind TLS', () => {
  test('serves by rediss:// where its authority is trusted (NODE_EXTRA_CA_CERTS); control: where it is not, it is unreachable', {
    timeout: 40_000,
  }, async () => {
    const servers = await own();
    const tls = await makeTlsFiles(servers.folder);
    const { port } = await servers.start([], { tls });
    const url = `rediss://127.0.0.1:${port}`;
    expect(await openedBy(url, { NODE_EXTRA_CA_CERTS: tls.ca })).toBe('added 1');
    expect(await openedBy(url, { NODE_EXTRA_CA_CERTS: '' })).toBe('queue_unreachable');
  });

  test('serves as a Cluster by rediss+cluster://', { timeout: 40_000 }, async () => {
    const servers = await own();
    const tls = await makeTlsFiles(servers.folder);
    const server = await servers.start(
      ['--cluster-enabled', 'yes', '--tls-cluster', 'yes', '--cluster-announce-ip', '127.0.0.1'],
      { tls },
    );
    await server.redis.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    await until(
      'the cluster is ok',
      () => server.redis.call('CLUSTER', 'INFO').then(String),
      (info) => info.includes('cluster_state:ok'),
    );
    const url = `rediss+cluster://127.0.0.1:${server.port}`;
    expect(await openedBy(url, { NODE_EXTRA_CA_CERTS: tls.ca })).toBe('added 1');
    expect(await openedBy(url, { NODE_EXTRA_CA_CERTS: '' })).toBe('queue_unreachable');
  });
});
