import { afterEach, expect, test } from 'vitest';
import { emptyTally } from '../../src/core/change-profile.ts';
import { FRESHNESS_LIMITS } from '../../src/core/freshness-limits.ts';
import type { Context } from '../../src/flows/context.ts';
import { forgetSilentEndpoints, reclaimAfterPurges } from '../../src/flows/reclaim.ts';
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

test('what was learned of an endpoint is forgotten when nobody has pulled there for so long, also after a look that failed', async () => {
  const { context } = stand({ lastPurgedAt: null });
  const { store, clock } = context;
  const learn = (endpointId: string, ago: number) =>
    store.learnChanges({
      network: 'CMS_9115',
      source: 'one',
      endpointId,
      tally: emptyTally(),
      at: clock.now() - ago,
    });
  await learn('silent', FRESHNESS_LIMITS.profileKeptMs + 60_000);
  await learn('quiet', FRESHNESS_LIMITS.profileKeptMs - 60_000);
  const away = async (): Promise<number> => {
    throw new Error('away');
  };
  await forgetSilentEndpoints({ ...context, store: { ...store, forgetProfiles: away } });
  expect(await store.changeProfiles()).toHaveLength(2);
  await forgetSilentEndpoints(context);
  expect((await store.changeProfiles()).map(({ endpointId }) => endpointId)).toEqual(['quiet']);
});
