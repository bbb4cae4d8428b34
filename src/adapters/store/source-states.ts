import { LIMITS } from '../../core/limits.ts';
import type { SourceCondition } from '../../core/ports/source-condition.ts';
import type { Store } from '../../core/ports/store.ts';
import { member, SOURCE_CONDITION_SET } from './columns.ts';
import { appendEvent } from './events.ts';
import type { Parts } from './fenced.ts';
import type { Session } from './session.ts';
import type { Db } from './tables.ts';

type SourceStates = Pick<Store, 'noteSource' | 'clearSource' | 'probeSources' | 'mayTrySource' | 'sourceStates'>;

/** The gravest first: a source that refuses our client is not merely away. */
const GRAVITY: Readonly<Record<SourceCondition, number>> = { suspended: 2, outage: 1, throttled: 0 };

/** What was announced stays until its end is announced too, unless something graver is; what nobody was told of gives way to anything that is told. */
function givesWay({
  before,
  announced,
  to,
  due,
}: {
  readonly before: SourceCondition;
  readonly announced: boolean;
  readonly to: SourceCondition;
  readonly due: boolean;
}): boolean {
  if (!due) return !announced && GRAVITY[to] > GRAVITY[before];
  return !announced || GRAVITY[to] > GRAVITY[before];
}

/** How the token endpoints of the sources treat us. */
export function sourceStates({ session }: Parts): SourceStates {
  return {
    noteSource: (note) => session.transaction((tx) => noteSource({ tx, note })),
    clearSource: (cleared) => clearSource({ session, cleared }),
    probeSources: () =>
      session.query(async (db) => {
        await db.updateTable('source_states').set({ probe_at: 0 }).where('condition', '=', 'suspended').execute();
      }),
    mayTrySource: (wanted) => mayTrySource({ session, wanted }),
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
          probeAt: row.probe_at,
        }));
      }),
  };
}

/** After most refreshes there is nothing to clear, and to see that needs no transaction. */
async function clearSource({
  session,
  cleared: { source, at },
}: {
  readonly session: Session;
  readonly cleared: Parameters<Store['clearSource']>[0];
}): Promise<void> {
  const noted = await session.query((db) =>
    db.selectFrom('source_states').select('source').where('source', '=', source).executeTakeFirst(),
  );
  if (noted === undefined) return;
  await session.transaction(async (tx) => {
    const gone = await tx
      .deleteFrom('source_states')
      .where('source', '=', source)
      .returning(['announced', 'condition'])
      .executeTakeFirst();
    if (gone?.announced !== true) return;
    const event = { at, kind: 'source_recovered', authorizationId: null, source, reason: gone.condition } as const;
    await appendEvent({ tx, event });
  });
}

/** Most sources are well, and to see that needs no transaction. */
async function mayTrySource({
  session,
  wanted: { source, at, everyMs },
}: {
  readonly session: Session;
  readonly wanted: Parameters<Store['mayTrySource']>[0];
}): Promise<boolean> {
  const suspended = (db: Db) =>
    db.selectFrom('source_states').select('probe_at').where('source', '=', source).where('condition', '=', 'suspended');
  const seen = await session.query((db) => suspended(db).executeTakeFirst());
  if (seen === undefined) return true;
  if (at < seen.probe_at) return false;
  return session.transaction(async (tx) => {
    const row = await suspended(tx).forUpdate().executeTakeFirst();
    if (row === undefined) return true;
    if (at < row.probe_at) return false;
    await tx
      .updateTable('source_states')
      .set({ probe_at: at + everyMs })
      .where('source', '=', source)
      .execute();
    return true;
  });
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
    .values({ source, condition, since: at, last_at: at, failures: 0, announced: false, probe_at: 0 })
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
  const same = before === condition;
  const failures = same ? row.failures + 1 : 1;
  const due = condition !== 'outage' || failures >= LIMITS.outageAfterFailures;
  if (!same && !givesWay({ before, announced: row.announced, to: condition, due })) return;
  const announced = same && row.announced;
  const probe = condition === 'suspended' ? { probe_at: at + LIMITS.sourceProbeEveryMs } : {};
  await tx
    .updateTable('source_states')
    .set({ condition, since: same ? row.since : at, last_at: at, failures, announced: announced || due, ...probe })
    .where('source', '=', source)
    .execute();
  if (announced || !due) return;
  const kind = `source_${condition}` as const;
  await appendEvent({ tx, event: { at, kind, authorizationId: null, source, reason: null } });
}
