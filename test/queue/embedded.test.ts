import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { describe, expect, test } from 'vitest';
import { openQueueBackend } from '../../src/adapters/queue/backend.ts';
import { temporaryFolder } from '../support/databases.ts';
import { layEmptyDatabases } from '../support/embedded-template.ts';
import { runsEmbeddedToo } from '../support/system-places.ts';
import { HOUR_MS, openBench, type Place, recorder, waitUntil } from './bench.ts';
import { queueContract } from './queue.contract.ts';

if (await runsEmbeddedToo()) queueContract('WorkQueue on the embedded database', openPlace);
else {
  describe.skip('WorkQueue on the embedded database SKIPPED: REDIS AND POSTGRES ANSWER; PERENNIAL_EMBEDDED_ONLY=1 RUNS IT', () => {
    test('all of the contract', () => undefined);
  });
}

test('nothing in the files of the embedded database names a swept authorization; a removed one is in the table of events alone', async () => {
  const folder = await temporaryFolder();
  await layEmptyDatabases(folder.path, ['queue']);
  const place = { kind: 'embedded', dataDir: folder.path } as const;
  const open = () => openQueueBackend({ place, prefix: 'test' });
  const bench = await openBench({ open, losePending: null, tracesOf: null, dispose: folder.remove });
  const [id, swept, kept] = [bench.newId('trace'), bench.newId('swept'), bench.newId('kept')];
  const { definition, runsOf } = recorder('fetch-once');
  const consumers = bench.start([definition]);
  for (const one of [id, swept, kept]) {
    await bench.queue.schedule({ authorizationId: one, periodMs: HOUR_MS });
    await bench.queue.add({ queue: 'fetch-once', authorizationId: one, reason: 'accepted' });
    await bench.queue.add({ queue: 'purge', authorizationId: one, reason: 'due', delayMs: HOUR_MS });
  }
  await waitUntil('all runs', () => [id, swept, kept].every((one) => runsOf(one).length === 1));
  await consumers.close({ force: false });
  await bench.queue.remove(id);
  await bench.queue.sweep(swept);
  await bench.queue.close();
  await bench.backend.close();
  const db = await PGlite.create(join(folder.path, 'queue'));
  const tables = await db.query<{ name: string }>(
    `select format('%I.%I', table_schema, table_name) as name from information_schema.tables
     where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')`,
  );
  const found = new Map<string, Set<string>>();
  for (const { name } of tables.rows) {
    for (const one of [id, swept, kept]) {
      const rows = await db.query(`select 1 from ${name} t where t::text like $1 limit 1`, [`%${one}%`]);
      if (rows.rows.length > 0) found.set(one, (found.get(one) ?? new Set()).add(name.split('.')[1] ?? ''));
    }
  }
  await db.close();
  await folder.remove();
  expect(found.has(swept)).toBe(false);
  // Controls: the one that was removed, and the one that was not, are found where they should be.
  expect([...(found.get(id) ?? [])]).toEqual(['event']);
  expect([...(found.get(kept) ?? [])]).toEqual(expect.arrayContaining(['job', 'scheduler']));
});

async function openPlace(): Promise<Place> {
  const folder = await temporaryFolder();
  await layEmptyDatabases(folder.path, ['queue']);
  return {
    open: () => openQueueBackend({ place: { kind: 'embedded', dataDir: folder.path }, prefix: 'test' }),
    losePending: null,
    tracesOf: null,
    dispose: folder.remove,
  };
}
