import { UNITS } from '../../core/limits.ts';

const { SECOND_MS, MINUTE_MS } = UNITS;

/** What bounds the waits on the store's database. */
export const limits = {
  /** A connection to a healthy Postgres takes milliseconds; a network that drops packets is found out here. */
  connectTimeoutMs: 5 * SECOND_MS,
  /** One statement on the server. The longest writes one pack of some MB, or waits for such a one on its lease row. */
  statementTimeoutMs: 30 * SECOND_MS,
  /** The same, measured here: a connection whose other end is gone gives no error by itself. */
  queryTimeoutMs: 35 * SECOND_MS,
  /** A frozen worker must not hold a lease row: shorter than the lease plus one sweep. */
  idleInTransactionMs: 5 * SECOND_MS,
  /** A pooled connection unused for this long is closed. */
  idleConnectionMs: 30 * SECOND_MS,
  /** From here on TCP asks by itself whether the other end is alive. */
  keepAliveAfterMs: 10 * SECOND_MS,
  /** Waiting for another process's migrations and running our own; an index on millions of rows takes minutes. */
  migrationTimeoutMs: 10 * MINUTE_MS,

  /** The holder of a DATA_DIR touches its lock this often. */
  lockTouchEveryMs: 10 * SECOND_MS,
  /** A lock of another host whose holder missed this many touches is stale; of our own host, the process list tells. */
  lockTouchesMissed: 6,
  /** Tries while others take and release the same lock; one suffices unless they do so at this very moment. */
  lockTries: 10,
  /** A lock file is some hundred bytes of JSON. */
  lockMaxBytes: 4_096,
} as const;
