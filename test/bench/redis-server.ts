import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Redis } from 'ioredis';
import { freePort } from '../support/processes.ts';
import { until } from '../support/system-until.ts';

/** A Redis that nobody else uses, so that its memory and its processor time are what was done here. It writes nothing to the disk. */
export type RedisServer = {
  readonly url: string;
  readonly usedBytes: () => Promise<number>;
  readonly cpuSeconds: () => Promise<number>;
  readonly close: () => Promise<void>;
};

/** Starts the machine's `redis-server` with these settings, as its configuration file has them. */
export async function startRedisServer({
  settings = {},
}: {
  readonly settings?: Readonly<Record<string, string>>;
} = {}): Promise<RedisServer> {
  const port = await freePort();
  const all = { port: String(port), bind: '127.0.0.1', save: '', appendonly: 'no', ...settings };
  const options = Object.entries(all).flatMap(([name, value]) => [`--${name}`, value]);
  const server = spawn('redis-server', options, { stdio: 'ignore' });
  const redis = new Redis({ port, host: '127.0.0.1', retryStrategy: () => 50 });
  redis.on('error', () => {});
  await until(
    'Redis answers',
    () => redis.ping().catch(() => null),
    (answer) => answer === 'PONG',
  );
  const numbersIn = async (section: string, pattern: RegExp): Promise<number> => {
    const told = await redis.info(section);
    return [...told.matchAll(pattern)].reduce((sum, [, value]) => sum + Number(value), 0);
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    usedBytes: () => numbersIn('memory', /^used_memory:(\d+)/gm),
    cpuSeconds: () => numbersIn('cpu', /^used_cpu_(?:sys|user):([\d.]+)/gm),
    close: async () => {
      redis.disconnect();
      const ended = once(server, 'exit');
      server.kill('SIGKILL');
      await ended;
    },
  };
}
