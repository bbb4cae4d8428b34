import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort } from './processes.ts';
import { until } from './system-until.ts';

/** A Redis of a test's own, which writes all that it is told into files that can be read. */
export type OwnRedis = {
  readonly url: string;
  /** Where its AOF and RDB lie. */
  readonly folder: string;
  /** Has both files written anew, from what it holds now. */
  readonly rewrite: () => Promise<void>;
  readonly close: () => Promise<void>;
};

export const canStartRedis = spawnSync('redis-server', ['--version']).status === 0;

/** Starts a Redis with AOF on, nothing compressed, and no other key than the test's, or than a copy of another's folder has. */
export async function startOwnRedis({
  copyOf,
  port: wanted,
  flushes = 'always',
}: {
  readonly copyOf?: string;
  /** That of a server which was closed, to take its place. */
  readonly port?: number;
  readonly flushes?: 'always' | 'everysec';
} = {}): Promise<OwnRedis> {
  const folder = await mkdtemp(join(tmpdir(), 'perennial-test-redis-'));
  if (copyOf !== undefined) await cp(copyOf, folder, { recursive: true });
  const port = wanted ?? (await freePort());
  const files = ['--dir', folder, '--appendonly', 'yes', '--appendfsync', flushes, '--rdbcompression', 'no'];
  const options = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', ...files];
  const server: ChildProcess = spawn('redis-server', options, { stdio: 'ignore' });
  const redis = new Redis({ port, host: '127.0.0.1', retryStrategy: () => 50 });
  redis.on('error', () => {});
  await until(
    'Redis answers',
    () => redis.ping().catch(() => null),
    (answer) => answer === 'PONG',
  );
  return {
    url: `redis://127.0.0.1:${port}`,
    folder,
    rewrite: async () => {
      await redis.call('BGREWRITEAOF');
      await until(
        'the AOF is written anew',
        () => redis.info('persistence'),
        (info) => /aof_rewrite_in_progress:0/.test(info) && /aof_rewrite_scheduled:0/.test(info),
      );
      await redis.call('SAVE');
    },
    close: async () => {
      redis.disconnect();
      const ended = once(server, 'exit');
      server.kill('SIGKILL');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
