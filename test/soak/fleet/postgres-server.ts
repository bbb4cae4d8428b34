import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import type { SqlRow } from '../../support/databases.ts';
import { freePort } from '../../support/processes.ts';
import { until } from '../../support/system-until.ts';

/** A PostgreSQL of the soak's own. */
export type PostgresServer = {
  /** Of a database of this name. */
  readonly url: (database: string) => string;
  /** `fast` rolls back what is open and says good-bye to its clients; `immediate` is a crash, and it recovers from its log when it starts again. */
  readonly stop: (how: 'fast' | 'immediate') => Promise<void>;
  readonly start: () => Promise<void>;
  /** Asks on a connection of its own. @throws what the driver throws while the server is away. */
  readonly sql: (database: string, statement: string) => Promise<readonly SqlRow[]>;
  readonly close: () => Promise<void>;
};

const DEBIAN_VERSIONS = '/usr/lib/postgresql';
const CONNECT_TIMEOUT_MS = 2_000;
const START_CAP_MS = 60_000;

/** Where the server's programs lie, which Debian keeps off the path; null where there are none. */
export function postgresPrograms(): string | null {
  const debians = existsSync(DEBIAN_VERSIONS) ? readdirSync(DEBIAN_VERSIONS) : [];
  const folders = [
    ...debians.toSorted((left, right) => Number(right) - Number(left)).map((one) => join(DEBIAN_VERSIONS, one, 'bin')),
    ...(process.env['PATH'] ?? '').split(':'),
  ];
  return folders.find((folder) => existsSync(join(folder, 'initdb'))) ?? null;
}

/** Makes and starts one with empty databases of these names. */
export async function startPostgresServer(databases: readonly string[]): Promise<PostgresServer> {
  const programs = postgresPrograms();
  if (programs === null) throw new Error('no initdb here');
  const folder = await mkdtemp(join(tmpdir(), 'perennial-fleet-postgres-'));
  const user = ownUser();
  if (user.uid !== undefined && user.gid !== undefined) await chown(folder, user.uid, user.gid);
  const data = join(folder, 'data');
  const made = ['-D', data, '-U', 'postgres', '--auth=trust', '--no-sync', '-E', 'UTF8', '--locale=C'];
  execFileSync(join(programs, 'initdb'), made, { ...user, cwd: folder, stdio: 'ignore' });
  const port = await freePort();
  const url = (database: string): string => `postgres://postgres@127.0.0.1:${port}/${database}`;
  let server: ChildProcess | null = null;
  const start = async (): Promise<void> => {
    // A process that is killed leaves its pages with the kernel: only a machine that loses power needs them on the disk.
    const settings = ['fsync=off', 'unix_socket_directories=', 'listen_addresses=127.0.0.1', 'max_connections=200'];
    const options = ['-D', data, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])];
    server = spawn(join(programs, 'postgres'), options, { ...user, cwd: folder, stdio: 'ignore' });
    await until(
      'PostgreSQL answers',
      () => query(url('postgres'), 'select 1').catch(() => null),
      (rows) => rows !== null,
      { capMs: START_CAP_MS },
    );
  };
  const stop = async (how: 'fast' | 'immediate'): Promise<void> => {
    if (server === null) return;
    const ended = once(server, 'exit');
    if (server.exitCode === null && server.kill(how === 'fast' ? 'SIGINT' : 'SIGQUIT')) await ended;
    server = null;
  };
  await start();
  for (const database of databases) await query(url('postgres'), `create database ${database}`);
  return {
    url,
    stop,
    start,
    sql: (database, statement) => query(url(database), statement),
    close: async () => {
      await stop('immediate');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** PostgreSQL refuses to run as root; Debian has a user for it. */
function ownUser(): { readonly uid?: number; readonly gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const id = (which: '-u' | '-g'): number => Number(execFileSync('id', [which, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

async function query(url: string, statement: string): Promise<readonly SqlRow[]> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(statement)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}
