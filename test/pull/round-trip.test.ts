import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openPostgresStore } from '../../src/adapters/store/postgres.ts';
import { createClock } from '../../src/adapters/system/clock.ts';
import { createCodec } from '../../src/adapters/system/codec.ts';
import { openFileVault } from '../../src/adapters/vault/file.ts';
import { readKeyring } from '../../src/main/key-settings.ts';
import { NO_POSTGRES, postgresForTests, temporaryFolder } from '../support/databases.ts';
import { notaryOf } from '../support/notary.ts';
import { newKey } from '../support/processes.ts';
import { type Bench, openBench } from '../support/pull/bench.ts';
import { expectedOf } from '../support/pull/expected-page.ts';
import { startFhirServer } from '../support/pull/fhir-server.ts';
import { NO_SHARED_DATA, pageOf, sharedData } from '../support/pull/shared-data.ts';

const examples = sharedData();
const postgres = await postgresForTests();
const name = 'every FHIR example by others';

/** The patient of an example that has one Patient; whose the others are, nobody says. */
function patientOf(records: ReadonlyMap<string, string>): string | null {
  const patients = [...records.keys()].filter((name) => name.startsWith('Patient/'));
  return patients.length === 1 ? (patients[0] ?? '').replace('Patient/', '') : null;
}

type Stand = {
  readonly bench: Bench;
  readonly serve: (page: Uint8Array) => void;
  readonly close: () => Promise<void>;
};

/** Everything real but the queue: HTTP, the slicer, zstd, keys in files, PostgreSQL. */
async function openStand(): Promise<Stand> {
  let page: Uint8Array = new Uint8Array();
  if (postgres === null) throw new Error('no Postgres');
  const folder = await temporaryFolder();
  const database = await postgres.createDatabase();
  const clock = createClock({ epochMs: 0, speed: 1 });
  const store = await openPostgresStore({
    databaseUrl: database.databaseUrl,
    poolSize: 2,
    now: clock.now,
    notary: notaryOf(),
  });
  const vault = await openFileVault({ directory: folder.path, keyring: readKeyring({ ENCRYPTION_KEYS: newKey() }) });
  const server = await startFhirServer({ answer: () => ({ body: page }) });
  const bench = openBench({ store, vault, codec: createCodec(), clock, baseUrl: server.url });
  const close = async (): Promise<void> => {
    await bench.close();
    await server.close();
    await vault.close();
    await store.close();
    await database.drop();
    await folder.remove();
  };
  const serve = (next: Uint8Array): void => {
    page = next;
  };
  return { bench, serve, close };
}

if (examples === null || postgres === null) {
  describe.skip(`${name} ${examples === null ? NO_SHARED_DATA : NO_POSTGRES}`, () => {
    test('is stored byte for byte', () => undefined);
  });
} else {
  // Each example is the whole record of a patient of its own.
  const listed = examples.map((example, at) => ({ file: example.name, id: `p${at}`, page: pageOf(example) }));
  let stand: Stand;

  beforeAll(async () => {
    stand = await openStand();
  });
  afterAll(() => stand.close());

  describe(name, () => {
    test.each(listed)('is stored byte for byte, or refused by name: $file', async ({ id, page }) => {
      const { bench, serve } = stand;
      const expected = expectedOf(page);
      serve(page);
      await bench.accept({ id, patient: patientOf(expected.records) });
      const report = await bench.pull({ id });
      expect(report.refused).toEqual(expected.refused);
      expect(report.result === 'complete').toBe(expected.isComplete);
      expect(report.retry).toEqual(expected.isComplete ? null : { code: 'upstream_malformed', afterMs: null });
      expect(await bench.records(id)).toEqual(expected.records);
      expect(report.published).toMatchObject({ added: expected.records.size, modified: 0, removed: 0 });

      // Once more, it is all there and nothing is new.
      const again = await bench.pull({ id });
      expect(again.published).toEqual({ added: 0, modified: 0, removed: 0, suspected: 0 });
      expect(await bench.records(id)).toEqual(expected.records);
    });

    test('control: parsed and written again, most would be other bytes and some other numbers', () => {
      const texts = listed.flatMap(({ page }) => [...expectedOf(page).records.values()]);
      const decimals = (text: string) =>
        text.match(/:\s*-?\d+\.\d+/g)?.map((found) => found.replace(/:\s*/, ':')) ?? [];
      const again = texts.map((text) => JSON.stringify(JSON.parse(text)));
      expect(texts.filter((text, at) => text !== again[at]).length).toBeGreaterThan(texts.length / 10);
      const others = texts.filter((text, at) => decimals(text).join() !== decimals(again[at] ?? '').join());
      expect(others).not.toEqual([]);
    });
  });
}
