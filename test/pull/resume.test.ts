import { afterEach, describe, expect, test } from 'vitest';
import type { Store } from '../../src/core/ports/store.ts';
import { type Answer, bundleOf, startFhirServer } from '../support/pull/fhir-server.ts';
import { type MemoryBench, openMemoryBench } from '../support/pull/memory-bench.ts';

const ID = 'a';
const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const resource = (type: string, id: string, more: object = {}): string =>
  JSON.stringify({ resourceType: type, id, ...more });
const about = (patient: string, id: string, more: object = {}): string =>
  resource('Observation', id, { subject: { reference: `Patient/${patient}` }, ...more });
const linked = resource('Patient', 'me', { link: [{ other: { reference: 'Patient/you' }, type: 'seealso' }] });

class Killed extends Error {}

/** A store whose process ends right after this commit of it; from then on it serves the next process. */
function endsAfter(commit: number): { readonly rigStore: (store: Store) => Store } {
  let left = commit;
  const rigStore = (store: Store): Store => ({
    ...store,
    commitRecords: async (value) => {
      const result = await store.commitRecords(value);
      left -= 1;
      if (left === 0) throw new Killed();
      return result;
    },
  });
  return { rigStore };
}

/** Pages of everything, one after another. */
function inPages(pages: readonly (readonly string[])[], told: { total?: number } = {}): (path: string) => Answer {
  return (path) => {
    const at = Number(new URLSearchParams(path.split('?')[1]).get('page') ?? 0);
    const next = at + 1 < pages.length ? { next: `Patient/me/$everything?page=${at + 1}` } : {};
    return { body: bundleOf({ resources: pages[at] ?? [], ...next, ...told }) };
  };
}

async function stand({
  answer,
  killedAfter = 0,
  settings = {},
}: {
  readonly answer: (path: string) => Answer;
  readonly killedAfter?: number;
  readonly settings?: Readonly<Record<string, unknown>>;
}): Promise<{ readonly bench: MemoryBench; readonly asked: readonly string[]; readonly forget: () => void }> {
  const server = await startFhirServer({ answer });
  const { rigStore } = endsAfter(killedAfter);
  const bench = openMemoryBench({ baseUrl: server.url, settings, journalsEachPage: true, rigStore });
  closers.push(server.close, bench.close);
  await bench.accept({ id: ID, patient: 'me' });
  return { bench, asked: server.asked, forget: server.forget };
}

async function killed(bench: MemoryBench): Promise<void> {
  await expect(bench.pull({ id: ID })).rejects.toBeInstanceOf(Killed);
}

describe('a pull that ended in its middle', () => {
  test('loses no entry that waits for a link of a later page', async () => {
    const pages = [[about('you', 'o1')], [resource('Coverage', 'c')], [linked]];
    const { bench } = await stand({ answer: inPages(pages), killedAfter: 1 });
    await killed(bench);
    expect(await bench.pull({ id: ID })).toMatchObject({ result: 'complete', published: { added: 3 } });
    expect([...(await bench.records(ID)).keys()].sort()).toEqual(['Coverage/c', 'Observation/o1', 'Patient/me']);
  });

  test('still knows the links that it has read', async () => {
    const pages = [[linked], [about('you', 'o1')]];
    const { bench, asked } = await stand({ answer: inPages(pages), killedAfter: 1 });
    await killed(bench);
    expect(await bench.pull({ id: ID })).toMatchObject({ result: 'complete', refused: {}, published: { added: 2 } });
    expect(asked).toHaveLength(2);
  });

  test('still knows that an entry was refused, and takes the pull for partial', async () => {
    const good = Array.from({ length: 10 }, (_, at) => about('me', `o${at}`));
    let pages: readonly (readonly string[])[] = [good, [resource('Coverage', 'c')]];
    const { bench } = await stand({ answer: (path) => inPages(pages)(path), killedAfter: 2 + 1 });
    await bench.pull({ id: ID });
    // What was stored comes without its id this once; it is not gone.
    pages = [[...good.slice(1), '{"resourceType":"Observation"}'], [resource('Coverage', 'c')]];
    await killed(bench);
    const report = await bench.pull({ id: ID });
    expect(report).toMatchObject({ result: 'partial', published: { removed: 0, suspected: 0 } });
    expect((await bench.records(ID)).size).toBe(11);
  });

  test.each([
    [4, 'complete'],
    [5, 'partial'],
  ])('still knows how many entries it has read of %i: %s', async (total, result) => {
    const pages = [0, 1, 2, 3].map((at) => [about('me', `${at}`)]);
    const { bench, asked } = await stand({ answer: inPages(pages, { total }), killedAfter: 2 });
    await killed(bench);
    expect(await bench.pull({ id: ID })).toMatchObject({ result });
    expect(asked).toHaveLength(4);
  });

  test('asks no resource type again that it has read to its end', async () => {
    const types = ['Patient', 'Coverage', 'Observation', 'Condition'];
    const answer = (path: string) => ({ body: bundleOf({ resources: [resource(path.split('?')[0] ?? '', 'me')] }) });
    const settings = { pullBy: 'search', resourceTypes: types, searchQuery: '' };
    const { bench, asked } = await stand({ answer, settings, killedAfter: 2 });
    await killed(bench);
    expect(asked).toEqual(types.slice(0, 2));
    expect(await bench.pull({ id: ID })).toMatchObject({ result: 'complete', published: { added: 4 } });
    expect(asked).toEqual(types);
  });

  test.each([1, 2, 3])('after page %i of four reads only the others, and publishes all', async (page) => {
    const pages = [0, 1, 2, 3].map((at) => [about('me', `${at}`), about('me', 'same')]);
    const { bench, asked, forget } = await stand({ answer: inPages(pages), killedAfter: page });
    await killed(bench);
    expect(asked).toHaveLength(page);
    expect(await bench.changes(ID)).toEqual([]);
    forget();
    expect(await bench.pull({ id: ID })).toMatchObject({ result: 'complete', published: { added: 5 } });
    expect(asked.map((path) => new URLSearchParams(path.split('?')[1]).get('page'))).toEqual(
      [1, 2, 3].slice(page - 1).map(String),
    );
    expect((await bench.records(ID)).size).toBe(5);
  });

  describe('in the middle of a page of 20 MB', () => {
    const large = (at: number, version: string) => about('me', `o${at}`, { note: [{ text: version.repeat(65_536) }] });
    const pageOf = (version: string) => Array.from({ length: 320 }, (_, at) => large(at, version));

    test.each([1, 2])(
      'keeps what was stored of it (%i packs), reads it again, and finds nothing twice',
      async (packs) => {
        const { bench, asked } = await stand({ answer: inPages([[linked], pageOf('a')]), killedAfter: 1 + packs });
        await killed(bench);
        expect(asked).toHaveLength(2);
        expect(await bench.changes(ID)).toEqual([]);
        expect(await bench.pull({ id: ID })).toMatchObject({
          result: 'complete',
          refused: {},
          published: { added: 321 },
        });
        expect(asked.slice(2)).toEqual([asked[1]]);
        expect((await bench.records(ID)).size).toBe(321);
      },
    );

    test('stores a resource as the source has it when the page is read again, and as new', async () => {
      let page = pageOf('a');
      const { bench } = await stand({ answer: (path) => inPages([page])(path), killedAfter: 1 });
      await killed(bench);
      page = [large(0, 'b'), ...page.slice(1)];
      expect(await bench.pull({ id: ID })).toMatchObject({
        result: 'complete',
        refused: {},
        published: { added: 320 },
      });
      expect((await bench.records(ID)).get('Observation/o0')).toBe(large(0, 'b'));
    });
  });
});
