import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { freePort } from './processes.ts';
import { until } from './system-until.ts';

/** A redis-server that a test started, which may die and come back with what it had. */
export type OwnServer = {
  readonly port: number;
  /** A connection that the test itself uses. */
  readonly redis: Redis;
  /** Dies at once. */
  readonly kill: () => Promise<void>;
  /** Starts again on the same port and folder, and answers. */
  readonly revive: () => Promise<void>;
};

type How = { readonly port?: number; readonly tls?: TlsFiles; readonly password?: string };

/** Folders and processes of a test, ended and removed together. */
export type OwnServers = {
  readonly folder: string;
  readonly start: (arguments_: readonly string[], how?: How) => Promise<OwnServer>;
  readonly close: () => Promise<void>;
};

/** Files of a server certificate, and of the authority that signed it. */
export type TlsFiles = { readonly ca: string; readonly cert: string; readonly key: string };

/** Whether a redis-server can be started here; with PERENNIAL_REQUIRE_SERVICES=1 a missing one is a failing test, otherwise a loud skip. */
export function sayWhenOwnServersAreMissing(): boolean {
  const there = process.env['PERENNIAL_EMBEDDED_ONLY'] !== '1' && spawnSync('redis-server', ['--version']).status === 0;
  if (!there) {
    const required = process.env['PERENNIAL_REQUIRE_SERVICES'] === '1';
    (required ? test : test.skip)('SKIPPED: NO redis-server TO START, nothing on servers of our own was tested', () => {
      expect(there).toBe(true);
    });
  }
  return there;
}

/** Makes room for servers: each has a folder of its own, with AOF on, so that what it said it kept is there when it comes back. */
export async function openServers(): Promise<OwnServers> {
  const folder = await mkdtemp(join(tmpdir(), 'perennial-test-redis-'));
  const opened: OwnServer[] = [];
  return {
    folder,
    start: async (arguments_, how = {}) => {
      const server = await startServer({ ...how, folder, port: how.port ?? (await freePort()), arguments_ });
      opened.push(server);
      return server;
    },
    close: async () => {
      await Promise.all(opened.map((server) => server.kill()));
      for (const { redis } of opened) redis.disconnect();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function startServer({
  folder,
  port,
  arguments_,
  tls,
  password,
}: How & {
  readonly folder: string;
  readonly port: number;
  readonly arguments_: readonly string[];
}): Promise<OwnServer> {
  const dir = join(folder, String(port));
  await mkdir(dir);
  const sentinel = arguments_.includes('--sentinel');
  const plain = tls === undefined ? ['--port', String(port)] : ['--port', '0', '--tls-port', String(port)];
  const kept = sentinel ? [] : ['--save', '', '--appendonly', 'yes'];
  // A sentinel takes its configuration file first.
  const [first = [], rest = []] = sentinel ? [arguments_, []] : [[], arguments_];
  const all = [...first, ...plain, '--bind', '127.0.0.1', '--dir', dir, ...kept, ...rest, ...tlsOf(tls)];
  let child: ChildProcess | null = null;
  const redis = new Redis({
    port,
    host: '127.0.0.1',
    retryStrategy: () => 50,
    ...(password === undefined ? {} : { password }),
    ...(tls === undefined ? {} : { tls: { rejectUnauthorized: false } }),
  });
  redis.on('error', () => {});
  const revive = async () => {
    child = spawn('redis-server', all, { stdio: 'ignore' });
    await until(
      `a Redis at ${port} answers`,
      () => redis.ping().catch(() => null),
      (answer) => answer === 'PONG',
    );
  };
  await revive();
  return {
    port,
    redis,
    revive,
    kill: async () => {
      const dying = child;
      child = null;
      if (dying === null || dying.exitCode !== null) return;
      const ended = once(dying, 'exit');
      dying.kill('SIGKILL');
      await ended;
    },
  };
}

function tlsOf(tls: TlsFiles | undefined): readonly string[] {
  if (tls === undefined) return [];
  const files = ['--tls-cert-file', tls.cert, '--tls-key-file', tls.key, '--tls-ca-cert-file', tls.ca];
  return [...files, '--tls-auth-clients', 'no'];
}
