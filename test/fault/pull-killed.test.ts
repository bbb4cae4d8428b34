import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { COMPILE_CACHE } from '../support/compile-cache.ts';
import { NO_POSTGRES, postgresForTests, type TestPostgres, temporaryFolder } from '../support/databases.ts';
import { newKey } from '../support/processes.ts';
import type { Bench, Change } from '../support/pull/bench.ts';
import { bundleOf, startFhirServer } from '../support/pull/fhir-server.ts';
import { openAt, type Place } from './pull/open.ts';
import type { Order } from './pull/order.ts';

const ENTRY = fileURLToPath(new URL('./pull/worker.ts', import.meta.url));
const PAGES = 6;
const PER_PAGE = 20;
const TYPES = ['Observation', 'Condition', 'Procedure'];

/** What is in a page: in the second version some are changed, some gone, some new, and each page repeats one of the page before. */
function pageOf({ page, version }: { readonly page: number; readonly version: number }): readonly string[] {
  const numbers = Array.from({ length: PER_PAGE + 1 }, (_, at) => page * PER_PAGE + at - 1).filter(
    (number) => number >= 0,
  );
  const resources = numbers
    .filter((number) => version === 0 || number % 30 !== 7)
    .map((number) => resourceOf({ number, version: version === 1 && number % 5 === 0 ? 1 : 0 }));
  return version === 0 ? resources : [...resources, resourceOf({ number: 1_000 + page, version })];
}

function resourceOf({ number, version }: { readonly number: number; readonly version: number }): string {
  return JSON.stringify({
    resourceType: TYPES[number % TYPES.length],
    id: `r${number}`,
    valueQuantity: { value: number + version / 2 },
    note: 'as it was sent '.repeat(10),
  });
}

type Stand = {
  readonly place: Place;
  readonly bench: Bench;
  readonly versions: Map<string, number>;
  /** The pages that a patient's records were asked for, in their order, since it was last asked. */
  readonly pagesAsked: (id: string) => readonly number[];
  readonly close: () => Promise<void>;
};

async function openStand(postgres: TestPostgres): Promise<Stand> {
  const versions = new Map<string, number>();
  const asked = new Map<string, number[]>();
  const server = await startFhirServer({
    answer: (path) => {
      const id = path.split('/')[1] ?? '';
      const page = Number(new URLSearchParams(path.split('?')[1]).get('page') ?? 0);
      asked.set(id, [...(asked.get(id) ?? []), page]);
      const next = page + 1 < PAGES ? { next: `Patient/${id}/$everything?page=${page + 1}` } : {};
      return { body: bundleOf({ resources: pageOf({ page, version: versions.get(id) ?? 0 }), ...next }) };
    },
  });
  const [folder, database] = await Promise.all([temporaryFolder(), postgres.createDatabase()]);
  const { databaseUrl } = database;
  const place = { databaseUrl, keysDirectory: folder.path, encryptionKeys: newKey(), baseUrl: server.url };
  const bench = await openAt(place);
  return {
    place,
    bench,
    versions,
    pagesAsked: (id) => {
      const pages = asked.get(id) ?? [];
      asked.delete(id);
      return pages;
    },
    close: async () => {
      await bench.close();
      await server.close();
      await database.drop();
      await folder.remove();
    },
  };
}

type Blow = Pick<Order, 'commit' | 'moment' | 'defect'>;
type Aftermath = {
  /** What the process that was killed had asked for, and what the next one did. */
  readonly before: readonly number[];
  readonly after: readonly number[];
  readonly records: ReadonlyMap<string, string>;
  readonly changes: readonly Change[];
};

/** A patient whose first pull was undisturbed; in its second one a process is killed, and another goes on. Null kills nobody. */
async function runThrough({
  stand: { place, bench, versions, pagesAsked },
  resumer = bench,
  blow,
}: {
  readonly stand: Stand;
  readonly resumer?: Bench;
  readonly blow: Blow | null;
}): Promise<Aftermath> {
  const id = blow === null ? 'undisturbed' : `${blow.defect}-${blow.moment}-${blow.commit}-${resumer === bench}`;
  await bench.accept({ id, patient: id });
  await bench.pull({ id });
  pagesAsked(id);
  versions.set(id, 1);
  if (blow !== null) await killedPull({ ...place, ...blow, id });
  const before = pagesAsked(id);
  await resumer.pull({ id });
  return { before, after: pagesAsked(id), records: await bench.records(id), changes: await changesOf({ bench, id }) };
}

/** Without the order of ids within a list, in which nothing is promised. */
async function changesOf({ bench, id }: { readonly bench: Bench; readonly id: string }): Promise<readonly Change[]> {
  const changes = await bench.changes(id);
  return changes
    .map(({ type, added, modified, removed }) => ({
      type,
      added: added.toSorted(),
      modified: modified.toSorted(),
      removed: removed.toSorted(),
    }))
    .sort((left, right) => left.type.localeCompare(right.type));
}

async function killedPull(order: Order): Promise<void> {
  const stdio = ['ignore', 'inherit', 'inherit'] as const;
  const child = spawn(process.execPath, [ENTRY, JSON.stringify(order)], {
    env: COMPILE_CACHE,
    cwd: tmpdir(),
    stdio: [...stdio],
  });
  const [, signal]: unknown[] = await once(child, 'exit');
  if (signal !== 'SIGKILL') throw new Error('the process was not killed where it should have been');
}

const range = (from: number): readonly number[] => Array.from({ length: PAGES - from }, (_, at) => from + at);
const name = 'a pull whose process is killed';
const postgres = await postgresForTests();

if (postgres === null) {
  describe.skip(`${name} ${NO_POSTGRES}`, () => {
    test('is gone on with by another process', () => undefined);
  });
} else {
  describe.concurrent(name, () => {
    let stand: Stand;
    let undisturbed: Aftermath;

    beforeAll(async () => {
      stand = await openStand(postgres);
      undisturbed = await runThrough({ stand, blow: null });
    });
    afterAll(() => stand.close());

    test('control: undisturbed, it has changes of every kind to tell', ({ expect }) => {
      expect(undisturbed.after).toEqual(range(0));
      const told = (kind: 'added' | 'modified' | 'removed') => undisturbed.changes.flatMap((change) => change[kind]);
      expect(told('added').filter((id) => /^r\d{4}$/.test(id))).toHaveLength(PAGES);
      expect(told('modified')).not.toEqual([]);
      expect(told('removed')).not.toEqual([]);
    });

    test.for(range(1))(
      'right after page %i was written down misses nothing, repeats nothing, asks for no page again',
      async (commit, { expect }) => {
        const { before, after, records, changes } = await runThrough({
          stand,
          blow: { commit, moment: 'after', defect: 'none' },
        });
        expect(before).toEqual(range(0).slice(0, commit));
        expect(after).toEqual(range(commit));
        expect(records).toEqual(undisturbed.records);
        expect(changes).toEqual(undisturbed.changes);
      },
    );

    test.for([...range(1), PAGES])(
      'right before page %i is written down asks for that page again and for none before it',
      async (commit, { expect }) => {
        const { before, after, records, changes } = await runThrough({
          stand,
          blow: { commit, moment: 'before', defect: 'none' },
        });
        expect(before).toEqual(range(0).slice(0, commit));
        expect(after).toEqual(range(commit - 1));
        expect(records).toEqual(undisturbed.records);
        expect(changes).toEqual(undisturbed.changes);
      },
    );

    test('right after it was published has nothing left to do, and the next pull has nothing to tell', async ({
      expect,
    }) => {
      const { after, records, changes } = await runThrough({
        stand,
        blow: { commit: PAGES, moment: 'after', defect: 'none' },
      });
      expect(after).toEqual(range(0));
      expect(records).toEqual(undisturbed.records);
      expect(changes).toEqual(undisturbed.changes);
    });

    test('control: with the mark of a page written before its records, resources are missed', async ({ expect }) => {
      const { after, changes } = await runThrough({
        stand,
        blow: { commit: 3, moment: 'after', defect: 'mark-first' },
      });
      expect(after).toEqual(range(3));
      expect(changes).not.toEqual(undisturbed.changes);
    });

    test('control: where the journal is forgotten, every page is asked for again', async ({ expect }) => {
      const { place } = stand;
      const forgetful = await openAt({
        ...place,
        rigStore: (store) => ({ ...store, pullJournal: async () => ({ state: null, pages: [] }) }),
      });
      const blow = { commit: 3, moment: 'after', defect: 'none' } as const;
      const { after } = await runThrough({ stand, resumer: forgetful, blow });
      await forgetful.close();
      expect(after).toEqual(range(0));
    });
  });
}
