import { afterEach, describe, expect, test } from 'vitest';
import { UNITS } from '../../src/core/limits.ts';
import { openJournal } from '../../src/flows/pull-journal.ts';
import type { Bench } from '../support/pull/bench.ts';
import { type Answer, bundleOf, type FhirServer, startFhirServer } from '../support/pull/fhir-server.ts';
import { type MemoryBench, openMemoryBench } from '../support/pull/memory-bench.ts';

const ID = 'a';
const TYPES = ['Patient', 'Coverage', 'Observation'];
const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const resource = (type: string, id: string, more: object = {}): string =>
  JSON.stringify({ resourceType: type, id, ...more });
const me = resource('Patient', 'me');
const about = (patient: string, id: string): string =>
  resource('Observation', id, { subject: { reference: `Patient/${patient}` } });
const outcome = (severity: string): string =>
  JSON.stringify({ resourceType: 'OperationOutcome', issue: [{ severity, code: 'processing' }] });

type Settings = Readonly<Record<string, unknown>>;
const SEARCH = { pullBy: 'search', resourceTypes: TYPES, searchQuery: '' };

async function stand({
  answer,
  settings = {},
  searchable = () => [],
}: {
  readonly answer: (path: string) => Answer | null;
  readonly settings?: Settings;
  readonly searchable?: () => readonly string[];
}): Promise<{ readonly bench: MemoryBench; readonly server: FhirServer }> {
  const server = await startFhirServer({ answer, searchable });
  const bench = openMemoryBench({ baseUrl: server.url, settings });
  closers.push(server.close, bench.close);
  await bench.accept({ id: ID, patient: 'me' });
  return { bench, server };
}

/** One page of everything, which is pulled once. */
async function pulled(page: string): Promise<{ report: Awaited<ReturnType<Bench['pull']>>; names: readonly string[] }> {
  const { bench } = await stand({ answer: () => ({ body: page }) });
  const report = await bench.pull({ id: ID });
  return { report, names: [...(await bench.records(ID)).keys()].sort() };
}

async function typesOf(bench: MemoryBench): Promise<Readonly<Record<string, string>>> {
  const key = await bench.context.vault.open(ID);
  const { state } = await openJournal({ context: bench.context, key, authorizationId: ID });
  return Object.fromEntries(Object.entries(state.types).map(([type, { result }]) => [type, result]));
}

describe('an entry that is not stored', () => {
  const bad: readonly (readonly [name: string, entry: string])[] = [
    ['another_patient', about('you', 'o2')],
    ['another_patient', resource('Patient', 'you')],
    ['no_type', '{"id":"x"}'],
    ['no_id', '{"resourceType":"Observation"}'],
    ['no_resource', 'null'],
    ['not_an_object', '[]'],
    ['conflicting_duplicate', resource('Patient', 'me', { gender: 'female' })],
  ];

  test.each(bad)(
    'is counted as %s, makes the pull partial, and costs its neighbours nothing (%#)',
    async (name, entry) => {
      const { report, names } = await pulled(bundleOf({ resources: [me, entry, about('me', 'o1')] }));
      expect(report).toMatchObject({ result: 'partial', retry: { code: 'upstream_malformed' } });
      expect(report.refused).toEqual({ [name]: 1 });
      expect(names).toEqual(['Observation/o1', 'Patient/me']);
    },
  );

  test('control: without it the same pull is complete', async () => {
    const { report } = await pulled(bundleOf({ resources: [me, about('me', 'o1')] }));
    expect(report).toMatchObject({ result: 'complete', retry: null, refused: {} });
  });

  test('does not make the pull partial where it is the same resource once more', async () => {
    const { report, names } = await pulled(bundleOf({ resources: [me, about('me', 'o1'), me] }));
    expect(report).toMatchObject({ result: 'complete', refused: { duplicate: 1 } });
    expect(report.published.added).toBe(2);
    expect(names).toEqual(['Observation/o1', 'Patient/me']);
  });

  test.each([
    ['information', 'complete'],
    ['warning', 'complete'],
    ['error', 'partial'],
    ['fatal', 'partial'],
  ])('may be a remark of the server: %s leaves the pull %s', async (severity, result) => {
    const { report, names } = await pulled(bundleOf({ resources: [me, outcome(severity)] }));
    expect(report).toMatchObject({ result });
    expect(names).toEqual(['Patient/me']);
  });

  test('that comes twice before its link, and says two things, makes the pull partial', async () => {
    const linked = resource('Patient', 'me', { link: [{ other: { reference: 'Patient/you' }, type: 'seealso' }] });
    const [one, other] = ['final', 'amended'].map((status) =>
      resource('Observation', 'o1', { status, subject: { reference: 'Patient/you' } }),
    );
    const { report } = await pulled(bundleOf({ resources: [one ?? '', other ?? '', linked] }));
    expect(report).toMatchObject({ result: 'partial', refused: { conflicting_duplicate: 1 } });
  });

  test('belongs to a linked patient where the link comes after it', async () => {
    const link = resource('Patient', 'me', { link: [{ other: { reference: 'Patient/you' }, type: 'seealso' }] });
    const { report, names } = await pulled(bundleOf({ resources: [about('you', 'o1'), link] }));
    expect(report).toMatchObject({ result: 'complete', refused: {} });
    expect(names).toEqual(['Observation/o1', 'Patient/me']);
  });

  test('is missed by the total that the server tells', async () => {
    const { report } = await pulled(bundleOf({ resources: [me], total: 2 }));
    expect(report).toMatchObject({ result: 'partial', retry: { code: 'upstream_malformed' } });
  });
});

describe('each resource type of a pull by search', () => {
  const good = (path: string): Answer =>
    path.startsWith('Patient')
      ? { body: bundleOf({ resources: [me] }) }
      : path.startsWith('Coverage')
        ? { body: bundleOf({ resources: [resource('Coverage', 'c1')] }) }
        : { body: bundleOf({ resources: [about('me', 'o1')] }) };
  const failing: readonly (readonly [string, Answer, string, string])[] = [
    ['refused by 403', { status: 403, body: outcome('error') }, 'refused', 'complete'],
    ['not there', { status: 404, body: outcome('error') }, 'refused', 'complete'],
    ['cut off', { body: '{"resourceType":"Bundle","entry":[' }, 'partial', 'partial'],
    ['no bundle', { body: '<html>' }, 'partial', 'partial'],
    ['failing by 500', { status: 500, body: outcome('fatal') }, 'partial', 'partial'],
    ['half', { body: bundleOf({ resources: ['{}'] }) }, 'partial', 'partial'],
  ];

  test.each(failing)(
    'ends by itself: where one is %s, the others are stored all the same',
    async (_what, answer, ofType, ofPull) => {
      let broken = true;
      const { bench } = await stand({
        answer: (path) => (broken && path.startsWith('Coverage') ? answer : good(path)),
        settings: SEARCH,
      });
      const report = await bench.pull({ id: ID });
      expect(report.result).toBe(ofPull);
      expect(await typesOf(bench)).toEqual({ Patient: 'complete', Coverage: ofType, Observation: 'complete' });
      expect([...(await bench.records(ID)).keys()].sort()).toEqual(['Observation/o1', 'Patient/me']);

      // What is mended is read from its beginning.
      broken = false;
      expect(await bench.pull({ id: ID })).toMatchObject({ result: 'complete', published: { added: 1, removed: 0 } });
      expect(await typesOf(bench)).toEqual({ Patient: 'complete', Coverage: 'complete', Observation: 'complete' });
    },
  );

  test('that fails removes nothing of what is stored', async () => {
    let broken: Answer | null = null;
    const { bench } = await stand({
      answer: (path) => (broken !== null && path.startsWith('Coverage') ? broken : good(path)),
      settings: SEARCH,
    });
    await bench.pull({ id: ID });
    const before = await bench.records(ID);
    for (const [, answer] of failing) {
      broken = answer;
      const report = await bench.pull({ id: ID });
      expect(report.published).toEqual({ added: 0, modified: 0, removed: 0, suspected: 0 });
      expect(await bench.records(ID)).toEqual(before);
    }
    // Control: what is complete and misses it does remove it, on its second word.
    broken = { body: bundleOf({ resources: [] }) };
    expect((await bench.pull({ id: ID })).published).toMatchObject({ removed: 0, suspected: 1 });
    expect((await bench.pull({ id: ID })).published).toMatchObject({ removed: 1, suspected: 0 });
  });
});

describe('a pull of changes only', () => {
  test('asks for an hour more than what is new, removes nothing, and once a week reads everything', async () => {
    const served = new Map([
      ['Patient', [me]],
      ['Coverage', [resource('Coverage', 'c1')]],
      ['Observation', ['1', '2', '3', '4', '5', '6'].map((id) => about('me', id))],
    ]);
    const { bench, server } = await stand({
      answer: (path) => ({ body: bundleOf({ resources: served.get(/^\w+/.exec(path)?.[0] ?? '') ?? [] }) }),
      settings: SEARCH,
      searchable: () => TYPES,
    });
    const first = bench.now();
    await bench.pull({ id: ID });
    expect(server.asked).toEqual(TYPES);

    server.forget();
    served.set('Observation', [about('me', '7')]);
    bench.pass(UNITS.DAY_MS);
    const report = await bench.pull({ id: ID });
    const since = new Date(first - UNITS.HOUR_MS).toISOString();
    expect(server.asked).toEqual(TYPES.map((type) => `${type}?_lastUpdated=gt${since}`));
    expect(report).toMatchObject({ result: 'complete', published: { added: 1, modified: 0, removed: 0 } });
    expect((await bench.records(ID)).size).toBe(9);

    server.forget();
    served.set(
      'Observation',
      ['2', '3', '4', '5', '6', '7'].map((id) => about('me', id)),
    );
    bench.pass(6 * UNITS.DAY_MS);
    const reconciled = await bench.pull({ id: ID });
    expect(server.asked).toEqual(TYPES);
    expect(reconciled.published).toEqual({ added: 0, modified: 0, removed: 1, suspected: 0 });
  });
});
