import { describe, expect, test } from 'vitest';
import type { Fence, Store } from '../../../src/core/ports/store.ts';
import {
  ACTOR,
  bytes,
  commitOf,
  everythingOf,
  filled,
  forceState,
  inserted,
  intentOf,
  LEASE,
  LONG_LEASE_MS,
  NOW,
  receiptOf,
  taken,
  tokensOf,
  type Use,
} from './samples.ts';

type FencedWrite = (store: Store, fence: Fence) => Promise<unknown>;

/** Every write that names a fence, and what a stale holder would try with it. */
const WRITES: Readonly<Record<string, FencedWrite>> = {
  update: (store, fence) => store.update({ ...fence, patch: { failedRuns: 99 }, actor: ACTOR }),
  openIntent: (store, fence) => store.openIntent({ ...fence, intent: intentOf(fence.authorizationId), lease: LEASE }),
  parkIntent: async (store, fence) => {
    const attemptId = (await store.intent(fence.authorizationId))?.attemptId ?? 'none';
    return store.parkIntent({ ...fence, attemptId, unsure: true, unclearSince: null });
  },
  closeIntent: (store, fence) => store.closeIntent(fence),
  commitTokens: (store, fence) =>
    store.commitTokens({ ...fence, expectedVersion: 1, tokens: tokensOf(2), patch: { failedRuns: 98 }, actor: ACTOR }),
  reauthorize: (store, fence) =>
    store.reauthorize({
      ...fence,
      expectedVersion: 1,
      tokens: tokensOf(2),
      patch: { state: 'active', stateReason: 'reauthorized' },
      fingerprint: 'stale',
      actor: ACTOR,
    }),
  warn: (store, fence) =>
    store.warn({
      ...fence,
      event: { at: NOW, source: 'flexpa', reason: 'consent', endsAt: NOW + 1, daysLeft: 1 },
      nextWarningAt: NOW + 97,
    }),
  commitRecords: (store, fence) =>
    store.commitRecords({
      ...fence,
      ...commitOf({
        packs: [{ id: 'Patient-stale', sealed: bytes() }],
        manifests: [{ key: 'Patient', sealed: bytes() }],
        changes: [{ at: NOW, sealed: bytes() }],
      }),
    }),
  deleteRows: (store, fence) => store.deleteRows(fence),
  finishPurge: (store, fence) =>
    store.finishPurge({ ...fence, receipt: receiptOf(fence.authorizationId), actor: ACTOR }),
};

export function fencesContract(use: Use): void {
  describe('fences', () => {
    test.each(Object.keys(WRITES))('a holder whose lease was taken over loses: %s', async (name) => {
      expect(await overwritesOfStaleHolder(use(), use().store, name)).toBe(false);
    });

    test.each(Object.keys(WRITES))('control: without its fence the same write goes through: %s', async (name) => {
      expect(await overwritesOfStaleHolder(use(), withoutFences(use().store), name)).toBe(true);
    });

    test.each(Object.keys(WRITES))('who never held a lease writes nothing: %s', async (name) => {
      const { store } = use();
      const id = await inserted(store);
      const before = await everythingOf(store, id);
      expect(await WRITES[name]?.(store, { authorizationId: id, fence: 1 })).toBe('superseded');
      expect(await everythingOf(store, id)).toStrictEqual(before);
    });

    test('of 10 holders one after another only the newest commits', async () => {
      const { store } = use();
      const id = await inserted(store);
      const fences: Fence[] = [];
      for (let count = 0; count < 10; count += 1) {
        fences.push(await store.seizeLease({ authorizationId: id, owner: `o-${count}`, leaseMs: LONG_LEASE_MS }));
      }
      const results = await Promise.all(
        fences.map((fence, index) => store.update({ ...fence, patch: { failedRuns: index }, actor: ACTOR })),
      );
      expect(results).toStrictEqual([...Array.from({ length: 9 }, () => 'superseded'), 'committed']);
      expect((await store.get(id))?.failedRuns).toBe(9);
    });

    test.each(['purging', 'purged'] as const)('nothing comes back once an authorization is %s', async (state) => {
      const { store, sql } = use();
      const id = await inserted(store);
      const fence = await taken(store, id);
      await forceState(sql, id, state);
      const before = await everythingOf(store, id);
      for (const name of ['openIntent', 'commitTokens', 'reauthorize', 'warn', 'commitRecords']) {
        expect(await WRITES[name]?.(store, fence)).toBe('superseded');
      }
      expect(await everythingOf(store, id)).toStrictEqual(before);
    });
  });
}

/** Whether a write under a fence that has moved on leaves any trace; the subject writes, the store itself is asked. */
async function overwritesOfStaleHolder(
  { store, sql }: ReturnType<Use>,
  subject: Store,
  name: string,
): Promise<boolean> {
  const id = await inserted(store);
  const stale = await taken(store, id);
  await filled(store, stale);
  await store.seizeLease({ authorizationId: id, owner: 'newer', leaseMs: LONG_LEASE_MS });
  if (name === 'finishPurge') await forceState(sql, id, 'purging');
  const before = JSON.stringify(await everythingOf(store, id));
  const result = await WRITES[name]?.(subject, stale);
  const changed = JSON.stringify(await everythingOf(store, id)) !== before;
  return changed || result !== 'superseded';
}

/** A store as it would be without the check: whoever writes is first given the newest fence. */
function withoutFences(store: Store): Store {
  const unfenced =
    <V extends Fence, R>(write: (value: V) => Promise<R>) =>
    async (value: V): Promise<R> => {
      const { authorizationId } = value;
      const { fence } = await store.seizeLease({ authorizationId, owner: 'control', leaseMs: LONG_LEASE_MS });
      return write({ ...value, fence });
    };
  return {
    ...store,
    update: unfenced(store.update),
    openIntent: unfenced(store.openIntent),
    parkIntent: unfenced(store.parkIntent),
    closeIntent: unfenced(store.closeIntent),
    commitTokens: unfenced(store.commitTokens),
    reauthorize: unfenced(store.reauthorize),
    warn: unfenced(store.warn),
    commitRecords: unfenced(store.commitRecords),
    deleteRows: unfenced(store.deleteRows),
    finishPurge: unfenced(store.finishPurge),
  };
}
