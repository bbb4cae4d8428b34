import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';

const CONNECT_TIMEOUT_MS = 2_000;

export type SqlRow = Readonly<Record<string, unknown>>;
export type Sql = (statement: string, values?: readonly unknown[]) => Promise<readonly SqlRow[]>;

/** A database of a test's own, and the way around the adapters into it. */
export type TestDatabase = { readonly databaseUrl: string; readonly sql: Sql; readonly drop: () => Promise<void> };

export type TestPostgres = { readonly createDatabase: () => Promise<TestDatabase> };

/** What a suite is called that does not run because nothing answers: nobody should take its silence for a pass. */
export const NO_POSTGRES = 'SKIPPED: NO POSTGRES ANSWERS ON 127.0.0.1:5432';

/**
 * The Postgres of this machine, or null when none answers. With PERENNIAL_REQUIRE_SERVICES=1 that is a failure.
 * TEST_POSTGRES_URL names another server; its user has to be able to create databases.
 */
export async function postgresForTests(): Promise<TestPostgres | null> {
  const named = process.env['TEST_POSTGRES_URL'];
  const users = ['postgres', userInfo().username];
  const urls = named === undefined ? users.map((user) => `postgres://${user}@127.0.0.1:5432/postgres`) : [named];
  for (const url of urls) {
    if (await answers(url)) return { createDatabase: () => createDatabase(url) };
  }
  if (process.env['PERENNIAL_REQUIRE_SERVICES'] === '1') {
    throw new Error('PERENNIAL_REQUIRE_SERVICES=1, but no Postgres answers');
  }
  return null;
}

/** A folder of a test's own. */
export async function temporaryFolder(): Promise<{ readonly path: string; readonly remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'perennial-test-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

async function answers(url: string): Promise<boolean> {
  try {
    await run(url, 'select 1');
    return true;
  } catch {
    return false;
  }
}

async function createDatabase(adminUrl: string): Promise<TestDatabase> {
  const name = `perennial_test_${randomBytes(8).toString('hex')}`;
  await run(adminUrl, `create database ${name}`);
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  const databaseUrl = url.href;
  return {
    databaseUrl,
    sql: (statement, values = []) => run(databaseUrl, statement, values),
    drop: async () => {
      await run(adminUrl, `drop database ${name} with (force)`);
    },
  };
}

async function run(url: string, statement: string, values: readonly unknown[] = []): Promise<readonly SqlRow[]> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(statement, [...values])).rows;
  } finally {
    await client.end();
  }
}
