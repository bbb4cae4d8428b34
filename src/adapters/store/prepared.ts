import { type CompiledQuery, type RawBuilder, sql } from 'kysely';
import type { Db } from './tables.ts';

/** The places of the parameters of a {@link prepared} statement. */
export const GIVEN = { first: sql.raw('$1'), second: sql.raw('$2'), third: sql.raw('$3') } as const;

/** A statement whose text is the same each time: put together once, since that costs as much as to send it. Gives the rows. */
export function prepared<Row>(
  text: RawBuilder<Row>,
): (db: Db, parameters: readonly unknown[]) => Promise<readonly Row[]> {
  let compiled: CompiledQuery<Row> | null = null;
  return async (db, parameters) => {
    compiled ??= text.compile(db);
    return (await db.executeQuery<Row>({ ...compiled, parameters })).rows;
  };
}
