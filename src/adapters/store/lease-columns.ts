import { type RawBuilder, sql } from 'kysely';

/** What becomes of a lease that is given back in good order. */
export const RELEASED = sql`expires_at = clock_timestamp(), released = true, crashes = 0`;

/** The store's own clock, in milliseconds. */
export const STORE_NOW = sql<number>`(extract(epoch from clock_timestamp()) * 1000)::double precision`;

/** When a lease of this length ends that is taken or renewed now. */
export function endOf(leaseMs: number | RawBuilder<unknown>) {
  return sql`clock_timestamp() + ${leaseMs}::double precision * interval '1 millisecond'`;
}
