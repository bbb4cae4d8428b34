import { LIMITS } from '../../core/limits.ts';
import type { SourceCondition } from '../../core/ports/feed.ts';
import type { Store } from '../../core/ports/store.ts';
import { member, SOURCE_CONDITION_SET } from './columns.ts';
import { appendEvent } from './events.ts';
import type { Parts } from './fenced.ts';
import type { Db } from './tables.ts';

type SourceStates = Pick<Store, 'noteSource' | 'clearSource' | 'probeSources' | 'sourceStates'>;

/** The gravest first: a source that refuses our client is not merely away. */
const GRAVITY: Readonly<Record<SourceCondition, number>> = { suspended: 2, outage: 1, throttled: 0 };

/** How the token endpoints of the sources treat us. */
export function sourceStates({ session }: Parts): SourceStates {
  return {
    noteSource: (note) => session.transaction((tx) => noteSource({ tx, note })),
    clearSource: ({ source, at }) =>
      session.transaction(async (tx) => {
        const gone = await tx
          .deleteFrom('source_states')
          .where('source', '=', source)
          .returning(['announced', 'condition'])
          .executeTakeFirst();
        if (gone?.announced !== true) return;
        const event = { at, kind: 'source_recovered', authorizationId: null, source, reason: gone.condition } as const;
        await appendEvent({ tx, event });
      }),
    probeSources: () =>
      session.query(async (db) => {
        await db.updateTable('source_states').set({ last_at: 0 }).where('condition', '=', 'suspended').execute();
      }),
    sourceStates: () =>
      session.query(async (db) => {
        const rows = await db.selectFrom('source_states').selectAll().orderBy('source').execute();
        return rows.map((row) => ({
          source: row.source,
          condition: member(SOURCE_CONDITION_SET, row.condition),
          since: row.since,
          lastAt: row.last_at,
          failures: row.failures,
          announced: row.announced,
        }));
      }),
  };
}

async function noteSource({
  tx,
  note: { source, condition, at },
}: {
  readonly tx: Db;
  readonly note: Parameters<Store['noteSource']>[0];
}): Promise<void> {
  await tx
    .insertInto('source_states')
    .values({ source, condition, since: at, last_at: at, failures: 0, announced: false })
    .onConflict((conflict) => conflict.column('source').doNothing())
    .execute();
  const row = await tx
    .selectFrom('source_states')
    .selectAll()
    .where('source', '=', source)
    .forUpdate()
    .executeTakeFirst();
  if (row === undefined) return;
  const before = member(SOURCE_CONDITION_SET, row.condition);
  if (GRAVITY[before] > GRAVITY[condition]) return;
  const same = before === condition;
  const failures = same ? row.failures + 1 : 1;
  const due = condition !== 'outage' || failures >= LIMITS.outageAfterFailures;
  const announced = same && row.announced;
  await tx
    .updateTable('source_states')
    .set({ condition, since: same ? row.since : at, last_at: at, failures, announced: announced || due })
    .where('source', '=', source)
    .execute();
  if (announced || !due) return;
  const kind = `source_${condition}` as const;
  await appendEvent({ tx, event: { at, kind, authorizationId: null, source, reason: null } });
}
