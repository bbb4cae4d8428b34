import { UNITS } from '../../core/limits.ts';

const { SECOND_MS, MINUTE_MS } = UNITS;

/** What bounds the waits on the key database: every statement of it touches one small row. */
export const limits = {
  connectTimeoutMs: 5 * SECOND_MS,
  statementTimeoutMs: 10 * SECOND_MS,
  /** The same, measured here: a connection whose other end is gone gives no error by itself. */
  queryTimeoutMs: 15 * SECOND_MS,
  /** A frozen process must not keep a key's row locked. */
  idleInTransactionMs: 5 * SECOND_MS,
  idleConnectionMs: 30 * SECOND_MS,
  /** The one statement that reads the whole table: a million keys are some 200 MB. */
  vacuumTimeoutMs: 5 * MINUTE_MS,
} as const;
