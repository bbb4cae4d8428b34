import { describe, expect, test } from 'vitest';
import { openQueueBackend } from '../../src/adapters/queue/backend.ts';
import { NO_POSTGRES, postgresForTests, type Sql, type TestPostgres } from '../support/databases.ts';
import type { Place } from './bench.ts';
import { queueContract } from './queue.contract.ts';

const postgres = process.env['PERENNIAL_EMBEDDED_ONLY'] === '1' ? null : await postgresForTests();
if (postgres === null) {
  describe.skip(`WorkQueue on Postgres ${NO_POSTGRES}`, () => {
    test('all of the contract', () => undefined);
  });
} else {
  queueContract('WorkQueue on Postgres', () => openPlace(postgres));
}

test('a Postgres that is away is queue_unreachable within 3 s, naming DATABASE_URL and not its password', async () => {
  const url = 'postgres://user:canary-password@127.0.0.1:1/none';
  const began = performance.now();
  const opening = openQueueBackend({ place: { kind: 'postgres', url }, prefix: 'test' });
  await expect(opening).rejects.toMatchObject({
    code: 'queue_unreachable',
    message: expect.not.stringContaining('canary'),
    field: 'DATABASE_URL',
  });
  expect(performance.now() - began).toBeLessThan(3_000);
});

async function openPlace({ createDatabase }: TestPostgres): Promise<Place> {
  const { databaseUrl, sql, drop } = await createDatabase();
  return {
    open: () => openQueueBackend({ place: { kind: 'postgres', url: databaseUrl }, prefix: 'test' }),
    losePending: async (id) => {
      await sql(`delete from bullmq_test.job where state = 'delayed' and id like $1`, [`repeat:${id}:%`]);
    },
    tracesOf: (text) => tracesIn({ sql, text }),
    dispose: drop,
  };
}

/** Every row of every table that is not PostgreSQL's own and holds the text; `events` for BullMQ's event table. */
async function tracesIn({ sql, text }: { readonly sql: Sql; readonly text: string }): Promise<string[]> {
  const tables = await sql(
    `select format('%I.%I', table_schema, table_name) as name from information_schema.tables
     where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')`,
  );
  const traces: string[] = [];
  for (const name of tables.map((row) => String(row['name']))) {
    const rows = await sql(`select t::text as line from ${name} t where t::text like $1`, [`%${text}%`]);
    traces.push(...rows.map(() => `${name.includes('event') ? 'events' : 'row'} ${name}`));
  }
  return traces;
}
