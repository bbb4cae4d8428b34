import type { Store } from '../../core/ports/store.ts';
import { toAbilities } from './columns.ts';
import type { Parts } from './fenced.ts';

/** What sources said of themselves. */
export function abilities({ session }: Parts): Pick<Store, 'sourceAbilities' | 'rememberAbilities'> {
  return {
    sourceAbilities: (source) =>
      session.query(async (db) => {
        const row = await db
          .selectFrom('source_abilities')
          .select(['learned_at', 'abilities'])
          .where('source', '=', source)
          .executeTakeFirst();
        return row === undefined ? null : { learnedAt: row.learned_at, abilities: toAbilities(row.abilities) };
      }),
    rememberAbilities: ({ source, learnedAt, abilities: told }) =>
      session.query(async (db) => {
        const columns = { learned_at: learnedAt, abilities: JSON.stringify(told) };
        await db
          .insertInto('source_abilities')
          .values({ source, ...columns })
          .onConflict((conflict) => conflict.column('source').doUpdateSet(columns))
          .execute();
      }),
  };
}
