import { afterEach, expect, test } from 'vitest';
import type { Context } from '../../src/flows/context.ts';
import { reclaimAfterPurges } from '../../src/flows/reclaim.ts';
import { type MemoryBench, openMemoryBench } from '../support/pull/memory-bench.ts';

const SINCE = 7;
let bench: MemoryBench;

afterEach(() => bench.close());

function stand({ lastPurgedAt, fails = false }: { readonly lastPurgedAt: number | null; readonly fails?: boolean }): {
  readonly context: Context;
  readonly reclaimed: readonly string[];
} {
  bench = openMemoryBench({ baseUrl: 'http://127.0.0.1:1' });
  const { store, vault } = bench.context;
  const reclaimed: string[] = [];
  const note = (name: string) => async (): Promise<void> => {
    reclaimed.push(name);
    if (fails) throw new Error('away');
  };
  const purgeLag: Context['store']['purgeLag'] = async (query) => ({ ...(await store.purgeLag(query)), lastPurgedAt });
  const context = {
    ...bench.context,
    store: { ...store, purgeLag, reclaim: note('store') },
    vault: { ...vault, reclaim: note('keys') },
  };
  return { context, reclaimed };
}

test('after purges the room is given back in both databases, and looked for from then on', async () => {
  const { context, reclaimed } = stand({ lastPurgedAt: SINCE + 1 });
  expect(await reclaimAfterPurges({ context, since: SINCE })).toBeGreaterThan(SINCE);
  expect(reclaimed).toEqual(['store', 'keys']);
});

test('without a purge no database is troubled', async () => {
  const { context, reclaimed } = stand({ lastPurgedAt: null });
  expect(await reclaimAfterPurges({ context, since: SINCE })).toBe(SINCE);
  expect(reclaimed).toEqual([]);
});

test('a database that is away is asked again the next time', async () => {
  const { context, reclaimed } = stand({ lastPurgedAt: SINCE + 1, fails: true });
  expect(await reclaimAfterPurges({ context, since: SINCE })).toBe(SINCE);
  expect(reclaimed).toEqual(['store']);
});
