import { describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { openPostgresStore } from '../../src/adapters/store/postgres.ts';
import type { Store } from '../../src/core/ports/store.ts';
import { NO_POSTGRES, postgresForTests, type Sql } from '../support/databases.ts';
import { insertStanding } from '../support/many-rows.ts';
import { NOTARY } from '../support/notary.ts';
import { until } from '../support/system-until.ts';
import { ACTOR, inserted, intentOf, LEASE, NOW, taken, tokensOf } from './store/samples.ts';

/** Rows that come after the first statements: as an import of a day brings them to a fleet of a few. */
const IMPORTED = 5_000;
/** Runs that write one after the other, on both sides of the import: more than the five after which a plan is kept. */
const RUNS = 10;
const TABLES = ['authorizations', 'leases', 'tokens', 'intents'];
const postgres = await postgresForTests();
const countedSchema = z.object({ whole: z.coerce.number(), single: z.coerce.number() });
type Counted = z.infer<typeof countedSchema>;

describe.skipIf(postgres === null)(
  postgres === null ? `what a run's writes read ${NO_POSTGRES}` : "what a run's writes read",
  () => {
    test('is their own rows, also with plans from when the tables were small', async () => {
      const { store, sql, close } = await opened();
      await runs(store);
      await imported(sql);
      await runs(store);
      await close();
      // A run's four statements look for a dozen rows.
      const { whole } = await read(sql, ({ single }) => single >= 2 * RUNS * 12);
      expect(whole).toBeLessThan(IMPORTED);
    });

    test('control: a lease that is found in a join with a hundred rows is found by reading all', async () => {
      const { sql, close } = await opened();
      await close();
      await imported(sql);
      await sql('analyze perennial.leases');
      await sql(
        `select l.fence from jsonb_to_recordset('[{"id":"import-0000001","fence":0}]') as given (id text, fence bigint)
          join perennial.leases as l on l.authorization_id = given.id and l.fence = given.fence`,
      );
      expect((await read(sql, ({ whole }) => whole >= IMPORTED)).whole).toBeGreaterThanOrEqual(IMPORTED);
    });
  },
);

async function opened() {
  if (postgres === null) throw new Error('no Postgres');
  const { databaseUrl, sql, drop } = await postgres.createDatabase();
  onTestFinished(drop);
  const store = await openPostgresStore({ databaseUrl, poolSize: 1, now: () => NOW, notary: NOTARY });
  return { store, sql, close: store.close };
}

/** What ordinary runs write: an intent, a new pair with its plan, and a plan alone. */
async function runs(store: Store): Promise<void> {
  const plan = {
    patch: { nextRunAt: NOW, nextPullAt: NOW, failedRuns: 0 },
    asOf: { periodMs: 1_000, toldAt: null },
    release: { owner: ACTOR },
  };
  for (let run = 0; run < RUNS; run += 1) {
    const id = await inserted(store, { usage: 'MULTIPLE', periodMs: 1_000, toldAt: null, trouble: null });
    const refreshing = await taken(store, id);
    expect(await store.openIntent({ ...refreshing, intent: intentOf(id), lease: LEASE })).toBe('committed');
    const commit = { expectedVersion: 1, tokens: tokensOf(2), patch: {}, actor: ACTOR, plan };
    expect(await store.commitTokens({ ...refreshing, ...commit })).toBe('planned');
    const planning = await taken(store, id);
    expect(await store.updateAsOf({ ...planning, ...plan, actor: ACTOR })).toBe('committed');
  }
}

/** Rows that no statement of the store has brought, so that it has read none of them. */
async function imported(sql: Sql): Promise<void> {
  await insertStanding({ sql, stem: 'import', count: IMPORTED, periodMs: 3_600_000, now: NOW });
  const ids = `select 'import-' || lpad(n::text, 7, '0') as id from generate_series(1, ${IMPORTED}) as n`;
  await sql(
    `insert into perennial.leases (authorization_id, owner, fence, expires_at) select id, 'nobody', 0, now() from (${ids}) as ids`,
  );
  await sql(
    `insert into perennial.tokens (authorization_id, version, has_refresh_token, access_expires_at, access_lifetime_ms, sealed)
      select id, 1, true, 0, 1, '' from (${ids}) as ids`,
  );
}

/** Rows that were read of whole tables, and by an index, once the connections that read them have told of it. */
async function read(sql: Sql, fits: (seen: Counted) => boolean): Promise<Counted> {
  const look = async () => {
    const [sums] = z.tuple([countedSchema]).parse(
      await sql(
        `select sum(seq_tup_read) as whole, sum(idx_scan) as single from pg_stat_user_tables
          where schemaname = 'perennial' and relname = any($1)`,
        [TABLES],
      ),
    );
    return sums;
  };
  return until('the server has counted what was read', look, fits);
}
