import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort } from '../../support/processes.ts';
import { until } from '../../support/system-until.ts';

/** A Redis of the soak's own, which can be killed, emptied, and brought back from an older copy of its files. */
export type RedisServer = {
  readonly url: string;
  readonly kill: () => Promise<void>;
  /** Comes back with what its files hold. */
  readonly start: () => Promise<void>;
  readonly flush: () => Promise<void>;
  /** Copies its files as they are now. */
  readonly keepCopy: () => Promise<void>;
  /** Lays the last copy in place of its files; it has to be dead. */
  readonly layCopy: () => Promise<void>;
  /** Asks on a connection of its own. @throws what ioredis throws while the server is away. */
  readonly ask: <T>(question: (redis: Redis) => Promise<T>) => Promise<T>;
  readonly close: () => Promise<void>;
};

const CONNECT_TIMEOUT_MS = 2_000;

/** Starts one. Its files hold each command before it is answered, so that a kill loses nothing that somebody was told. */
export async function startRedisServer(): Promise<RedisServer> {
  const home = await mkdtemp(join(tmpdir(), 'perennial-fleet-redis-'));
  const [folder, copy] = [join(home, 'data'), join(home, 'copy')];
  await mkdir(folder);
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  let server: ChildProcess | null = null;
  const ask = async <T>(question: (redis: Redis) => Promise<T>): Promise<T> => {
    const redis = new Redis(url, { retryStrategy: () => null, connectTimeout: CONNECT_TIMEOUT_MS, lazyConnect: true });
    redis.on('error', () => undefined);
    try {
      await redis.connect();
      return await question(redis);
    } finally {
      redis.disconnect();
    }
  };
  const start = async (): Promise<void> => {
    const files = ['--dir', folder, '--save', '', '--appendonly', 'yes', '--appendfsync', 'everysec'];
    server = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', ...files], { stdio: 'ignore' });
    await until(
      'Redis answers',
      () => ask((redis) => redis.ping()).catch(() => null),
      (answer) => answer === 'PONG',
    );
  };
  const kill = async (): Promise<void> => {
    if (server === null) return;
    const ended = once(server, 'exit');
    if (server.exitCode === null && server.signalCode === null && server.kill('SIGKILL')) await ended;
    server = null;
  };
  await start();
  return {
    url,
    kill,
    start,
    flush: async () => void (await ask((redis) => redis.flushall())),
    keepCopy: async () => {
      await rm(copy, { recursive: true, force: true });
      await cp(folder, copy, { recursive: true });
    },
    layCopy: async () => {
      await rm(folder, { recursive: true, force: true });
      await cp(copy, folder, { recursive: true });
    },
    ask,
    close: async () => {
      await kill();
      await rm(home, { recursive: true, force: true });
    },
  };
}
