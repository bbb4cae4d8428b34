import { afterEach, describe, expect, test } from 'vitest';
import { LIMITS } from '../../src/core/limits.ts';
import { openManifests } from '../../src/flows/manifest.ts';
import { openJournal } from '../../src/flows/pull-journal.ts';
import { bundleOf, startFhirServer } from '../support/pull/fhir-server.ts';
import { type MemoryBench, openMemoryBench } from '../support/pull/memory-bench.ts';

const ID = 'a';
const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** All of the same length, so that shares of a pack can be counted in resources. */
const observation = (id: number, version = 0): string =>
  JSON.stringify({
    resourceType: 'Observation',
    id: `o${String(id).padStart(3, '0')}`,
    valueString: String(version).padStart(40, '0'),
  });

type Stand = {
  readonly bench: MemoryBench;
  readonly serve: (resources: readonly string[]) => void;
  /** Serves these and pulls them all. */
  readonly pull: (resources: readonly string[]) => Promise<void>;
  readonly packs: () => readonly string[];
};

async function stand(): Promise<Stand> {
  let resources: readonly string[] = [];
  const server = await startFhirServer({ answer: () => ({ body: bundleOf({ resources }) }) });
  const bench = openMemoryBench({ baseUrl: server.url });
  closers.push(server.close, bench.close);
  await bench.accept({ id: ID, patient: null });
  const packs = () => [...(bench.tables.packs.get(ID)?.keys() ?? [])];
  const serve = (served: readonly string[]): void => {
    resources = served;
  };
  const pull = async (served: readonly string[]): Promise<void> => {
    serve(served);
    expect(await bench.pull({ id: ID })).toMatchObject({ result: 'complete' });
    expect([...(await bench.records(ID)).values()].sort()).toEqual([...served].sort());
    await expectBooksToBalance(bench, packs());
  };
  return { bench, serve, pull, packs };
}

/** Every pack that is kept is alive to the half at least, is counted with its size, and holds what the manifests say it does. */
async function expectBooksToBalance(bench: MemoryBench, packs: readonly string[]): Promise<void> {
  const { context } = bench;
  const key = await context.vault.open(ID);
  const { state } = await openJournal({ context, key, authorizationId: ID });
  expect(Object.keys(state.packs).sort()).toEqual([...packs].sort());
  const alive = new Map<string, number>();
  for (const manifest of (await openManifests({ context, key, authorizationId: ID })).values()) {
    for (const [, { pack, length }] of manifest.entries()) alive.set(pack, (alive.get(pack) ?? 0) + length);
  }
  const shares = Object.entries(state.packs).map(([id, size]) => (alive.get(id) ?? 0) / size);
  expect(Math.min(1, ...shares)).toBeGreaterThanOrEqual(LIMITS.packAliveShare);
}

const range = (count: number, version: (id: number) => number = () => 0): readonly string[] =>
  Array.from({ length: count }, (_, id) => observation(id, version(id)));

describe('a pack', () => {
  test('stays while no more than half of it is dead', async () => {
    const { pull, packs } = await stand();
    await pull(range(10));
    const [first] = packs();
    await pull(range(10, (id) => (id < 5 ? 1 : 0)));
    expect(packs()).toHaveLength(2);
    expect(packs()).toContain(first);
  });

  test('goes when more than half of it is dead, and what is alive in it lies elsewhere, byte for byte', async () => {
    const { pull, packs } = await stand();
    await pull(range(10));
    const [first] = packs();
    await pull(range(10, (id) => (id < 6 ? 1 : 0)));
    expect(packs()).toHaveLength(1);
    expect(packs()).not.toContain(first);
  });

  test('goes when all of it is dead', async () => {
    const { pull, packs } = await stand();
    await pull(range(10));
    const [first] = packs();
    await pull(range(10, () => 1));
    expect(packs()).not.toContain(first);
    expect(packs()).toHaveLength(1);
  });

  test('goes when its resources are removed', async () => {
    const { pull, packs, bench } = await stand();
    await pull(range(20));
    for (const count of [16, 13, 11, 9, 8]) await pull(range(count));
    expect(packs()).toHaveLength(1);
    const key = await bench.context.vault.open(ID);
    const { state } = await openJournal({ context: bench.context, key, authorizationId: ID });
    expect(Object.values(state.packs)).toEqual([9 * observation(0).length]);
  });

  test('that is rewritten is no change that anybody hears of', async () => {
    const { pull, bench } = await stand();
    await pull(range(10));
    await pull(range(10, (id) => (id < 6 ? 1 : 0)));
    const modified = Array.from({ length: 6 }, (_, id) => `o00${id}`);
    expect((await bench.changes(ID)).slice(1)).toEqual([{ type: 'Observation', added: [], modified, removed: [] }]);
  });
});

describe('many packs', () => {
  test('that die at once go some at a time, and all in the end', async () => {
    const { bench, serve, pull, packs } = await stand();
    const many = LIMITS.compactPacksMax + 4;
    for (let at = 1; at <= many; at += 1) await pull(range(at * 2));
    expect(packs()).toHaveLength(many);
    serve(range(many * 2, () => 1));
    await bench.pull({ id: ID });
    // One is new.
    expect(packs()).toHaveLength(1 + many - LIMITS.compactPacksMax);
    await bench.pull({ id: ID });
    expect(packs()).toHaveLength(1);
  });
});
