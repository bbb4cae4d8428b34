import { createHash } from 'node:crypto';
import {
  Kysely,
  type PostgresCursor,
  PostgresDialect,
  type PostgresPool,
  type PostgresPoolClient,
  type PostgresQueryResult,
} from 'kysely';
import { Pool, type PoolClient } from 'pg';
import { PerennialError } from '../../core/errors.ts';
import { KEPT } from './kept.ts';
import { limits } from './limits.ts';
import type { Tables } from './tables.ts';

/** PostgreSQL cuts names at 63. */
const NAME_CHARS = 32;

/** The tables over a pool of connections to a PostgreSQL server. Nothing connects before the first query. */
export function openPool({
  databaseUrl,
  poolSize,
  statementTimeoutMs,
}: {
  readonly databaseUrl: string;
  readonly poolSize: number;
  readonly statementTimeoutMs: number;
}): Kysely<Tables> {
  const pool = new Pool({
    connectionString: databaseUrl,
    application_name: 'perennial',
    max: poolSize,
    connectionTimeoutMillis: limits.connectTimeoutMs,
    idleTimeoutMillis: limits.idleConnectionMs,
    statement_timeout: statementTimeoutMs,
    query_timeout: statementTimeoutMs + (limits.queryTimeoutMs - limits.statementTimeoutMs),
    idle_in_transaction_session_timeout: limits.idleInTransactionMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: limits.keepAliveAfterMs,
  });
  // A connection that breaks fails the query that uses it; without these listeners it would end the process as well.
  pool.on('error', ignore);
  pool.on('connect', (client) => client.on('error', ignore));
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool: discardingSilent(pool) }) });
}

function ignore(): void {}

/** A connection keeps one plan for each text, and the same text has the same name wherever it is sent. */
function createNames(): (text: string) => string {
  const names = new Map<string, string>();
  return (text) => {
    const name = names.get(text) ?? createHash('sha256').update(text).digest('hex').slice(0, NAME_CHARS);
    names.set(text, name);
    return name;
  };
}

/**
 * The pool as Kysely sees it. A client on which a query got no answer at all is closed when it is given back: pg would keep it, and every
 * later query would wait behind the lost one.
 */
function discardingSilent(pool: Pool): PostgresPool {
  const nameOf = createNames();
  return {
    options: pool.options,
    connect: async () => toClient(await pool.connect(), nameOf),
    end: () => pool.end(),
  };
}

function toClient(client: PoolClient, nameOf: (text: string) => string): PostgresPoolClient {
  let silent = false;
  const send = async (text: string, parameters: readonly unknown[]): Promise<unknown> => {
    const values = [...parameters];
    try {
      return await client.query(text.startsWith(KEPT) ? { name: nameOf(text), text, values } : { text, values });
    } catch (error) {
      silent ||= error instanceof Error && error.message === 'Query read timeout';
      throw error;
    }
  };
  function query<R>(statement: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<R>>;
  function query<R>(cursor: PostgresCursor<R>): PostgresCursor<R>;
  function query(statement: unknown, parameters: readonly unknown[] = []): unknown {
    if (typeof statement !== 'string') throw new PerennialError('internal', { field: 'cursors are not used' });
    return send(statement, parameters);
  }
  return { query, release: (destroy) => client.release(destroy === true || silent) };
}
