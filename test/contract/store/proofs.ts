import { describe, expect, test } from 'vitest';
import { UNITS } from '../../../src/core/limits.ts';
import { type Fence, moveTo, type Store } from '../../../src/core/ports/store.ts';
import { ACTOR, filled, inserted, NOW, receiptOf, taken, type Use } from './samples.ts';

/** Years apart from the instants of the other tests: these answers are of the whole store. */
const LATE = NOW + 400 * UNITS.DAY_MS;
const EARLY = NOW - 400 * UNITS.DAY_MS;

export function proofsContract(use: Use): void {
  describe('proofs of a purge', () => {
    test('a verifier counts what is left by itself: everything before the deletion, nothing after it', async () => {
      const { store } = use();
      const id = await inserted(store);
      const fence = await taken(store, id);
      expect(await store.leftOf(id)).toStrictEqual({ tokens: 1, records: 0 });
      await filled(store, fence);
      const { tokens, records } = await store.leftOf(id);
      expect(tokens, 'the tokens and an open attempt').toBe(2);
      expect(records, 'packs, manifests, changes and the journal').toBeGreaterThan(8);
      await store.deleteRows(fence);
      expect(await store.leftOf(id)).toStrictEqual({ tokens: 0, records: 0 });
      expect(await store.leftOf('nobody')).toStrictEqual({ tokens: 0, records: 0 });
    });

    test('what the queues gave up adds up over tries, and a holder who was overtaken adds nothing', async () => {
      const { store } = use();
      const id = await inserted(store);
      const fence = await taken(store, id);
      expect(await store.noteSwept({ ...fence, jobs: 2, events: 5 })).toStrictEqual({ jobs: 2, events: 5 });
      const winner = await store.seizeLease({ authorizationId: id, owner: 'winner', leaseMs: 1_000 });
      expect(await store.noteSwept({ ...fence, jobs: 100, events: 100 })).toBe('superseded');
      expect(await store.noteSwept({ ...winner, jobs: 1, events: 0 })).toStrictEqual({ jobs: 3, events: 5 });
      expect(await store.deleteRows(winner), 'and is told with what was deleted').toMatchObject({
        jobs: 3,
        queueEvents: 5,
      });
    });

    test('the lag of purges is that of their receipts, from a given instant on', async () => {
      const { store } = use();
      const since = LATE;
      expect(await store.purgeLag({ now: EARLY, since })).toMatchObject({ purged: 0, p50Ms: null, p99Ms: null });
      for (const lagMs of [100, 300, 200, -50])
        await purged({ store, purgedAt: LATE + 1_000 + lagMs, dueAt: LATE + 1_000 });
      await purged({ store, purgedAt: LATE - 1, dueAt: LATE - 1_000_000 });
      expect(await store.purgeLag({ now: EARLY, since })).toMatchObject({
        purged: 4,
        lastPurgedAt: LATE + 1_300,
        p50Ms: 100,
        p99Ms: 300,
      });
    });

    test('the oldest that is due and not purged is told, whatever its state, until its receipt is there', async () => {
      const { store } = use();
      const waiting = { purgeDueAt: EARLY - 2, nextRunAt: null } as const;
      const oldest = async () => (await store.purgeLag({ now: EARLY, since: EARLY })).oldestDueAt;
      const id = await inserted(store, { ...waiting, state: 'needs_reauthorization' });
      await inserted(store, { purgeDueAt: EARLY + 1, nextRunAt: null });
      expect(await oldest()).toBe(EARLY - 2);
      const fence = await taken(store, id);
      await finish({ store, fence, purgedAt: EARLY, dueAt: EARLY - 2 });
      expect(await oldest()).not.toBe(EARLY - 2);
    });

    test('room is given back without harm to what is there', async () => {
      const { store } = use();
      const id = await inserted(store);
      const fence = await taken(store, id);
      await filled(store, fence);
      const before = await store.manifests(id);
      await store.reclaim();
      expect(await store.manifests(id)).toStrictEqual(before);
    });
  });
}

async function purged({
  store,
  purgedAt,
  dueAt,
}: {
  readonly store: Store;
  readonly purgedAt: number;
  readonly dueAt: number;
}): Promise<void> {
  const id = await inserted(store, { purgeDueAt: dueAt, nextRunAt: null });
  await finish({ store, fence: await taken(store, id), purgedAt, dueAt });
}

async function finish({
  store,
  fence,
  purgedAt,
  dueAt,
}: {
  readonly store: Store;
  readonly fence: Fence;
  readonly purgedAt: number;
  readonly dueAt: number;
}): Promise<void> {
  await store.update({ ...fence, patch: moveTo('purging', 'requested'), actor: ACTOR });
  const receipt = receiptOf(fence.authorizationId, { purgedAt, dueAt });
  expect(await store.finishPurge({ ...fence, receipt, actor: ACTOR })).toBe('committed');
}
