import { randomBytes } from 'node:crypto';
import { Pool, type PoolClient } from 'pg';
import { z } from 'zod';
import { PerennialError } from '../../core/errors.ts';
import type { Vault } from '../../core/ports/vault.ts';
import type { Keyring } from './keyring.ts';
import { limits } from './limits.ts';
import { failureOf } from './postgres-failures.ts';
import { createVault, type KeyStore } from './vault.ts';

/** Any number that nobody else locks in this database; it lets in one maker of the table at a time. */
const LOCK_ID = 7_305_112_911_412;

const SET_UP = `
  select pg_advisory_xact_lock(${LOCK_ID});
  create schema if not exists perennial_keys;
  create table if not exists perennial_keys.data_keys (authorization_id text primary key, wrapped bytea not null);`;

const rowSchema = z.object({ wrapped: z.instanceof(Uint8Array) });

/**
 * A vault in a small database of its own, kept and backed up apart from the store's.
 * @throws PerennialError `database_unreachable`
 */
export async function openPostgresVault({
  databaseUrl,
  keyring,
  poolSize,
}: {
  readonly databaseUrl: string;
  readonly keyring: Keyring;
  readonly poolSize: number;
}): Promise<Vault> {
  const pool = openPool({ databaseUrl, poolSize });
  try {
    // Statements sent as one text are one transaction.
    await pool.query(SET_UP);
  } catch (error) {
    await pool.end();
    throw failureOf(error);
  }
  return createVault({ keyring, keys: postgresKeyStore(pool) });
}

function openPool({ databaseUrl, poolSize }: { readonly databaseUrl: string; readonly poolSize: number }): Pool {
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

function postgresKeyStore(pool: Pool): KeyStore {
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
    destroy: (authorizationId) => translated(() => destroy({ pool, authorizationId })),
    ping: async () => {
      await query('select 1', []);
    },
    close: () => translated(() => (pool.ended ? Promise.resolve() : pool.end())),
  };
}

async function destroy({
  pool,
  authorizationId,
}: {
  readonly pool: Pool;
  readonly authorizationId: string;
}): Promise<void> {
  const client = await pool.connect();
  let broken = true;
  try {
    await destroyWith({ client, authorizationId });
    broken = false;
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
  await client.query('begin');
  // A server that answers before its disk does would let a crash bring the key back.
  await client.query('set local synchronous_commit = on');
  const row = await client.query<Record<string, unknown>>(
    'select wrapped from perennial_keys.data_keys where authorization_id = $1 for update',
    [authorizationId],
  );
  if (row.rows[0] !== undefined) {
    const noise = randomBytes(rowSchema.parse(row.rows[0]).wrapped.byteLength);
    await client.query('update perennial_keys.data_keys set wrapped = $2 where authorization_id = $1', [
      authorizationId,
      noise,
    ]);
    await client.query('delete from perennial_keys.data_keys where authorization_id = $1', [authorizationId]);
  }
  await client.query('commit');
}

async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof PerennialError ? error : failureOf(error);
  }
}
