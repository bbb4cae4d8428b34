import { sql } from 'kysely';
import type { Store } from '../../core/ports/store.ts';
import { toNumber } from './columns.ts';
import { fenced, type Parts } from './fenced.ts';
import type { Db, Tables } from './tables.ts';

type Proofs = Pick<Store, 'noteSwept' | 'leftOf' | 'purgeLag' | 'reclaim'>;

const TOKEN_TABLES = ['tokens', 'intents'] as const satisfies readonly (keyof Tables)[];
const RECORD_TABLES = [
  'packs',
  'manifests',
  'changes',
  'pulls',
  'pull_pages',
] as const satisfies readonly (keyof Tables)[];

/** What shows that a purge is complete and in time, and gives the room of deleted rows back. */
export function proofs({ session }: Parts): Proofs {
  return {
    noteSwept: ({ jobs, events, ...fence }) =>
      fenced({ session, fence }, async (tx) => {
        const row = await tx
          .updateTable('authorizations')
          .set((eb) => ({ swept_jobs: eb('swept_jobs', '+', jobs), swept_events: eb('swept_events', '+', events) }))
          .where('id', '=', fence.authorizationId)
          .returning(['swept_jobs', 'swept_events'])
          .executeTakeFirstOrThrow();
        return { jobs: row.swept_jobs, events: row.swept_events };
      }),
    leftOf: (authorizationId) => session.query((db) => leftOf({ db, authorizationId })),
    purgeLag: (query) => session.query((db) => purgeLag({ db, ...query })),
    reclaim: async () => {
      for (const table of [...TOKEN_TABLES, ...RECORD_TABLES, 'authorizations'] as const) {
        // Whose turn it is at a table that is being vacuumed already comes next time.
        await session.query((db) => sql`vacuum (skip_locked) ${sql.table(`perennial.${table}`)}`.execute(db));
      }
    },
  };
}

async function leftOf({
  db,
  authorizationId,
}: {
  readonly db: Db;
  readonly authorizationId: string;
}): ReturnType<Store['leftOf']> {
  const rowsIn = (table: string) =>
    sql`(select count(*) from ${sql.table(`perennial.${table}`)} where authorization_id = ${authorizationId})`;
  const sum = (tables: readonly string[]) => sql.join(tables.map(rowsIn), sql` + `);
  const { rows } = await sql<{ readonly tokens: string; readonly records: string }>`
    select ${sum(TOKEN_TABLES)} as tokens, ${sum(RECORD_TABLES)} as records`.execute(db);
  const [row] = rows;
  return { tokens: toNumber(row?.tokens ?? Number.NaN), records: toNumber(row?.records ?? Number.NaN) };
}

type Lag = {
  readonly purged: string | number | bigint;
  readonly last: number | null;
  readonly p50: number | null;
  readonly p99: number | null;
};

async function purgeLag({
  db,
  now,
  since,
}: Parameters<Store['purgeLag']>[0] & { readonly db: Db }): ReturnType<Store['purgeLag']> {
  const ended = await sql<Lag>`
    select count(*) as purged, max(purged_at) as last,
      percentile_disc(0.5) within group (order by lag) as p50, percentile_disc(0.99) within group (order by lag) as p99
    from (select purged_at, greatest(0, purged_at - due_at) as lag from perennial.receipts
      where purged_at >= ${since} and due_at is not null) as late`.execute(db);
  // Each half along its own partial index.
  const waiting = await sql<{ readonly due: number | null }>`
    select least(
      (select min(purge_due_at) from perennial.authorizations where state = 'purging'),
      (select min(purge_due_at) from perennial.authorizations
        where state not in ('purging', 'purged') and purge_due_at <= ${now})) as due`.execute(db);
  const [lag] = ended.rows;
  return {
    purged: toNumber(lag?.purged ?? 0),
    lastPurgedAt: lag?.last ?? null,
    p50Ms: lag?.p50 ?? null,
    p99Ms: lag?.p99 ?? null,
    oldestDueAt: waiting.rows[0]?.due ?? null,
  };
}
