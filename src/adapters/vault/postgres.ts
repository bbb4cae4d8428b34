import { randomBytes } from 'node:crypto';
import { Client, Pool, type PoolClient } from 'pg';
import { z } from 'zod';
import { PerennialError } from '../../core/errors.ts';
import type { Vault } from '../../core/ports/vault.ts';
import type { KeyStore } from './key-store.ts';
import type { Keyring } from './keyring.ts';
import { limits } from './limits.ts';
import { ANCHORS_SET_UP, postgresAnchors } from './postgres-anchors.ts';
import { failureOf } from './postgres-failures.ts';
import { createVault } from './vault.ts';

/** Any number that nobody else locks in this database; it lets in one maker of the table at a time. */
const LOCK_ID = 7_305_112_911_412;

const SET_UP = `
  select pg_advisory_xact_lock(${LOCK_ID});
  create schema if not exists perennial_keys;
  create table if not exists perennial_keys.data_keys (authorization_id text primary key, wrapped bytea not null);
  ${ANCHORS_SET_UP}`;

const rowSchema = z.object({ wrapped: z.instanceof(Uint8Array) });
const keptSchema = rowSchema.extend({ authorization_id: z.string() });

const LIST = `
  select authorization_id, wrapped from perennial_keys.data_keys
   where $1::text is null or authorization_id > $1 order by authorization_id limit $2`;

type Place = { readonly databaseUrl: string; readonly poolSize: number };

/** A vault in a database. @throws PerennialError as {@link openPostgresKeyStore} */
export async function openPostgresVault({ keyring, ...place }: Place & { readonly keyring: Keyring }): Promise<Vault> {
  return createVault({ keyring, keys: await openPostgresKeyStore(place) });
}

/**
 * One row per authorization in a small database of its own, kept and backed up apart from the store's.
 * @throws PerennialError `database_unreachable`
 */
export async function openPostgresKeyStore({ databaseUrl, poolSize }: Place): Promise<KeyStore> {
  const pool = openPool({ databaseUrl, poolSize });
  try {
    // Statements sent as one text are one transaction.
    await pool.query(SET_UP);
  } catch (error) {
    await pool.end();
    throw failureOf(error);
  }
  return keyStoreOn({ pool, databaseUrl });
}

function openPool({ databaseUrl, poolSize }: Place): Pool {
  const pool = new Pool({
    connectionString: databaseUrl,
    application_name: 'perennial-keys',
    max: poolSize,
    connectionTimeoutMillis: limits.connectTimeoutMs,
    idleTimeoutMillis: limits.idleConnectionMs,
    statement_timeout: limits.statementTimeoutMs,
    query_timeout: limits.queryTimeoutMs,
    idle_in_transaction_session_timeout: limits.idleInTransactionMs,
    keepAlive: true,
  });
  // A connection that breaks fails the query that uses it; without these listeners it would end the process as well.
  pool.on('error', ignore);
  pool.on('connect', (client) => client.on('error', ignore));
  return pool;
}

function ignore(): void {}

function keyStoreOn({ pool, databaseUrl }: { readonly pool: Pool; readonly databaseUrl: string }): KeyStore {
  const query = (statement: string, values: readonly unknown[]) =>
    translated(async () => (await pool.query<Record<string, unknown>>(statement, [...values])).rows);
  return {
    keep: async ({ authorizationId, wrapped }) => {
      await query('insert into perennial_keys.data_keys values ($1, $2) on conflict do nothing', [
        authorizationId,
        wrapped,
      ]);
    },
    find: async (authorizationId) => {
      const [row] = await query('select wrapped from perennial_keys.data_keys where authorization_id = $1', [
        authorizationId,
      ]);
      return row === undefined ? null : rowSchema.parse(row).wrapped;
    },
    has: async (authorizationId) => {
      const rows = await query('select 1 from perennial_keys.data_keys where authorization_id = $1', [authorizationId]);
      return rows.length === 1;
    },
    list: async ({ after, limit }) => {
      const rows = await query(LIST, [after, limit]);
      const kept = rows.map((row) => {
        const { authorization_id: authorizationId, wrapped } = keptSchema.parse(row);
        return { authorizationId, wrapped, unfinished: false };
      });
      return { kept, next: kept.length < limit ? null : (kept.at(-1)?.authorizationId ?? null) };
    },
    replace: (value) => translated(() => durably(pool, (client) => replaceWith({ client, ...value }))),
    destroy: (authorizationId) => translated(() => durably(pool, (client) => destroyWith({ client, authorizationId }))),
    reclaim: () => translated(() => vacuum(databaseUrl)),
    ...postgresAnchors(query),
    ping: async () => {
      await query('select 1', []);
    },
    close: () => translated(() => (pool.ended ? Promise.resolve() : pool.end())),
  };
}

/** One transaction that is on the disk when this resolves: a server that answers before its disk does would let a crash bring a key, or a former wrap of it, back. */
async function durably<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken = true;
  try {
    await client.query('begin');
    await client.query('set local synchronous_commit = on');
    const result = await work(client);
    await client.query('commit');
    broken = false;
    return result;
  } finally {
    // Closing the connection rolls back what it left open.
    client.release(broken);
  }
}

async function destroyWith({
  client,
  authorizationId,
}: {
  readonly client: PoolClient;
  readonly authorizationId: string;
}): Promise<void> {
  const row = await client.query<Record<string, unknown>>(
    'select wrapped from perennial_keys.data_keys where authorization_id = $1 for update',
    [authorizationId],
  );
  if (row.rows[0] === undefined) return;
  const noise = randomBytes(rowSchema.parse(row.rows[0]).wrapped.byteLength);
  await client.query('update perennial_keys.data_keys set wrapped = $2 where authorization_id = $1', [
    authorizationId,
    noise,
  ]);
  await client.query('delete from perennial_keys.data_keys where authorization_id = $1', [authorizationId]);
}

/** An update finds what is there and makes nothing: a row that another transaction deletes meanwhile is waited for and then not there. */
async function replaceWith({
  client,
  authorizationId,
  expected,
  wrapped,
}: Parameters<KeyStore['replace']>[0] & { readonly client: PoolClient }): ReturnType<KeyStore['replace']> {
  const { rowCount } = await client.query(
    'update perennial_keys.data_keys set wrapped = $3 where authorization_id = $1 and wrapped = $2',
    [authorizationId, expected, wrapped],
  );
  if (rowCount === 1) return 'replaced';
  const left = await client.query('select 1 from perennial_keys.data_keys where authorization_id = $1', [
    authorizationId,
  ]);
  return left.rowCount === 0 ? 'gone' : 'changed';
}

/** On a connection of its own, because it may take longer than the others may. */
async function vacuum(databaseUrl: string): Promise<void> {
  const client = new Client({
    connectionString: databaseUrl,
    application_name: 'perennial-keys',
    connectionTimeoutMillis: limits.connectTimeoutMs,
    statement_timeout: limits.vacuumTimeoutMs,
    query_timeout: limits.vacuumTimeoutMs,
  });
  client.on('error', ignore);
  try {
    await client.connect();
    await client.query('vacuum perennial_keys.data_keys');
  } finally {
    await client.end();
  }
}

async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof PerennialError ? error : failureOf(error);
  }
}
