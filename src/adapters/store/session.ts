import { failureOf } from './failures.ts';
import type { Db } from './tables.ts';

/** The one way to the database: whatever fails in it leaves as an error of the catalogue. */
export type Session = {
  readonly query: <T>(work: (db: Db) => Promise<T>) => Promise<T>;
  readonly transaction: <T>(work: (tx: Db) => Promise<T>) => Promise<T>;
};

/** Wraps a connection pool, or the one connection of an embedded database. */
export function createSession(db: Db): Session {
  return {
    query: (work) => translated(() => work(db)),
    transaction: (work) => translated(() => db.transaction().execute(work)),
  };
}

async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw failureOf(error);
  }
}
