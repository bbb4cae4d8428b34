import { sql } from 'kysely';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openEmbeddedDatabase, openEmbeddedStore } from '../../src/adapters/store/embedded.ts';
import { migrate } from '../../src/adapters/store/migrate.ts';
import { openPool } from '../../src/adapters/store/pool.ts';
import { openPostgresStore } from '../../src/adapters/store/postgres.ts';
import { createSession } from '../../src/adapters/store/session.ts';
import { createStore } from '../../src/adapters/store/store.ts';
import { NO_POSTGRES, postgresForTests, type Sql, type TestPostgres, temporaryFolder } from '../support/databases.ts';
import { layEmptyDatabases } from '../support/embedded-template.ts';
import { NOTARY } from '../support/notary.ts';
import { silentProxy } from '../support/silent-proxy.ts';
import { inserted, NOW, type OpenedStore, taken } from './store/samples.ts';
import { storeContract } from './store.contract.ts';

const postgres = await postgresForTests();
const now = () => NOW + 1_000;
const notary = NOTARY;
const POOL_SIZE = 8;
const POLLS_MAX = 500;

storeContract('Store on PGlite', openOnPglite);

if (postgres === null) {
  describe.skip(`Store on Postgres ${NO_POSTGRES}`, () => {
    test('all of the contract', () => undefined);
  });
} else {
  storeContract('Store on Postgres', () => openOnPostgres(postgres));
  postgresOnly(postgres);
}

describe('an embedded store', () => {
  test('has what it had when it is opened again, and leaves nothing open', async () => {
    const folder = await temporaryFolder();
    onTestFinished(folder.remove);
    const first = await openEmbeddedStore({ dataDir: folder.path, now, notary });
    const id = await inserted(first);
    await first.close();
    await first.close();
    await expect(first.ping()).rejects.toMatchObject({ code: 'internal' });
    const second = await openEmbeddedStore({ dataDir: folder.path, now, notary });
    expect(await second.get(id)).toMatchObject({ id });
    await second.close();
  });
});

async function openOnPglite(): Promise<OpenedStore> {
  const folder = await temporaryFolder();
  await layEmptyDatabases(folder.path, ['store']);
  const database = await openEmbeddedDatabase({ dataDir: folder.path });
  const store = createStore({ database, now, notary });
  return {
    store,
    // The driver binds the values itself: they are given to it as Kysely would give them.
    sql: async (statement, values = []) => {
      const { rows } = await database.executeQuery<Record<string, unknown>>({
        ...sql.raw(statement).compile(database),
        parameters: values,
      });
      return rows;
    },
    migrateAgain: () => migrate(database),
    close: async () => {
      await store.close();
      await folder.remove();
    },
  };
}

async function openOnPostgres({ createDatabase }: TestPostgres): Promise<OpenedStore> {
  const { databaseUrl, sql: run, drop } = await createDatabase();
  const store = await openPostgresStore({ databaseUrl, poolSize: POOL_SIZE, now, notary });
  return {
    store,
    sql: run,
    migrateAgain: async () => {
      await (await openPostgresStore({ databaseUrl, poolSize: 1, now, notary })).close();
    },
    close: async () => {
      await store.close();
      await drop();
    },
  };
}

function postgresOnly({ createDatabase }: TestPostgres): void {
  describe('Postgres', () => {
    test('8 processes that start at once on an empty database migrate it once and all come up', async () => {
      const { databaseUrl, sql: run, drop } = await createDatabase();
      onTestFinished(drop);
      const stores = await Promise.all(
        Array.from({ length: 8 }, () => openPostgresStore({ databaseUrl, poolSize: 1, now, notary })),
      );
      const [first, second] = stores;
      if (first === undefined || second === undefined) throw new Error('no stores');
      const id = await inserted(first);
      expect(await second.get(id)).toMatchObject({ id });
      expect(await run('select name from perennial.schema_migrations')).toStrictEqual([
        { name: '0001_initial' },
        { name: '0002_token_safety' },
        { name: '0003_pulls' },
        { name: '0004_erasure' },
        { name: '0005_fleet' },
        { name: '0006_wishes' },
        { name: '0007_doubts' },
      ]);
      await Promise.all(stores.map((store) => store.close()));
    });

    test('a write that waits for a holder who is just taking over loses to it', async () => {
      const { databaseUrl, sql: run, drop } = await createDatabase();
      onTestFinished(drop);
      const store = await openPostgresStore({ databaseUrl, poolSize: 2, now, notary });
      const other = openPool({ databaseUrl, poolSize: 1, statementTimeoutMs: 10_000 });
      const id = await inserted(store);
      const fence = await taken(store, id);
      const write = await other.transaction().execute(async (tx) => {
        await sql`update perennial.leases set fence = fence + 1`.execute(tx);
        const waiting = store.update({ ...fence, patch: { failedRuns: 55 }, actor: 'late' });
        await untilSomeoneWaits(run);
        return { waiting };
      });
      expect(await write.waiting).toBe('superseded');
      expect((await store.get(id))?.failedRuns).not.toBe(55);
      await Promise.all([store.close(), other.destroy()]);
    });

    test('a taker who waits for the former holder sees what that one committed', async () => {
      const { databaseUrl, sql: run, drop } = await createDatabase();
      onTestFinished(drop);
      const store = await openPostgresStore({ databaseUrl, poolSize: 2, now, notary });
      const other = openPool({ databaseUrl, poolSize: 1, statementTimeoutMs: 10_000 });
      const id = await inserted(store);
      await taken(store, id);
      const { waiting, joined } = await other.transaction().execute(async (tx) => {
        await sql`update perennial.leases set expires_at = clock_timestamp() - interval '1 hour'`.execute(tx);
        await sql`update perennial.tokens set version = 2`.execute(tx);
        const taking = store.takeLease({ authorizationId: id, owner: 'next', leaseMs: 60_000 });
        // Control: what would be read if the tokens were joined to the row that is waited for.
        const controlled = run(`with held as (select 1 from perennial.leases for update)
          select version from perennial.tokens, held`);
        await untilSomeoneWaits(run, 2);
        return { waiting: taking, joined: controlled };
      });
      expect((await waiting)?.standing?.tokens?.version).toBe(2);
      expect(await joined).toStrictEqual([{ version: '1' }]);
      await Promise.all([store.close(), other.destroy()]);
    });

    test('a server that is not there is named as such, without its address or password', async () => {
      const databaseUrl = 'postgres://someone:hunter2@127.0.0.1:1/nowhere';
      const error: unknown = await openPostgresStore({ databaseUrl, poolSize: 1, now, notary }).catch(
        (thrown: unknown) => thrown,
      );
      expect(error).toMatchObject({ code: 'database_unreachable' });
      expect(`${error} ${JSON.stringify(error)}`).not.toMatch(/hunter2|127\.0/);
    });

    test('connections cut under it fail as unreachable and are replaced by the next query', async () => {
      const { databaseUrl, sql: run, drop } = await createDatabase();
      onTestFinished(drop);
      const store = await openPostgresStore({ databaseUrl, poolSize: 1, now, notary });
      await store.ping();
      await run(
        'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
      );
      const outcomes = await Promise.all([0, 1].map(() => store.ping().catch((error: unknown) => error)));
      for (const outcome of outcomes) {
        if (outcome !== undefined) expect(outcome).toMatchObject({ code: 'database_unreachable' });
      }
      await store.ping();
      await store.close();
    });

    test('a connection whose other end went silent is given up and not used again', async () => {
      const { databaseUrl, drop } = await createDatabase();
      onTestFinished(drop);
      const proxy = await silentProxy(new URL(databaseUrl));
      const database = openPool({ databaseUrl: proxy.url, poolSize: 1, statementTimeoutMs: 100 });
      const session = createSession(database);
      const ask = () => session.query((db) => sql`select 1`.execute(db));
      await ask();
      proxy.silence();
      await expect(ask()).rejects.toMatchObject({ code: 'database_unreachable' });
      await expect(ask()).resolves.toMatchObject({ rows: [{ '?column?': 1 }] });
      await database.destroy();
      await proxy.close();
    });
  });
}

async function untilSomeoneWaits(run: Sql, count = 1): Promise<void> {
  for (let polls = 0; polls < POLLS_MAX; polls += 1) {
    const waiting = await run(
      "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    );
    if (waiting.length >= count) return;
  }
  throw new Error('nobody waits for the lock');
}
