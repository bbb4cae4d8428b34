import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Store } from '../../../src/core/ports/store.ts';
import { expireLease, inserted, intentOf, LONG_LEASE_MS, NOW, newId, taken, type Use } from './samples.ts';

const TINY_LEASE_MS = 30;
const POLL_EVERY_MS = 5;
const POLLS_MAX = 2_000;

export function leasesContract(use: Use): void {
  describe('leases', () => {
    test('of 50 concurrent takers one gets the lease, the same owner twice included', async () => {
      const { store } = use();
      const authorizationId = newId();
      const takers = Array.from({ length: 50 }, (_, index) =>
        store.takeLease({ authorizationId, owner: `owner-${index % 2}`, leaseMs: LONG_LEASE_MS }),
      );
      const fences = await Promise.all(takers);
      expect(fences.filter((fence) => fence !== null)).toStrictEqual([
        { authorizationId, fence: 1, crashes: 0, takenAt: expect.any(Number), standing: null },
      ]);
    });

    test('of 50 concurrent takers of an expired lease one gets it, with a higher fence', async () => {
      const { store, sql } = use();
      const authorizationId = newId();
      await taken(store, authorizationId);
      await expireLease(sql, authorizationId);
      const takers = Array.from({ length: 50 }, () =>
        store.takeLease({ authorizationId, owner: 'next', leaseMs: LONG_LEASE_MS }),
      );
      const fences = (await Promise.all(takers)).filter((fence) => fence !== null);
      expect(fences).toStrictEqual([
        { authorizationId, fence: 2, crashes: 1, takenAt: expect.any(Number), standing: null },
      ]);
    });

    test('a lease that was not given back is a crash of its holder, and none of the holder that takes it anew: it lives', async () => {
      const { store, sql } = use();
      const authorizationId = newId();
      const take = (owner: string) => store.takeLease({ authorizationId, owner, leaseMs: LONG_LEASE_MS });
      expect(await take('first')).toMatchObject({ crashes: 0 });
      for (const [owner, crashes] of [
        ['first', 0],
        ['next', 1],
        ['next', 1],
        ['first', 2],
      ] as const) {
        await expireLease(sql, authorizationId);
        expect(await take(owner)).toMatchObject({ crashes });
      }
    });

    test('a lease says when it was taken, on the clock of the store', async () => {
      const { store } = use();
      const wanted = { authorizationId: newId(), owner: 'first', leaseMs: LONG_LEASE_MS };
      // This process's own is an hour ahead.
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 });
      onTestFinished(() => void vi.useRealTimers());
      const before = await store.wallNow();
      const first = await store.takeLease(wanted);
      const between = await store.wallNow();
      const next = await store.seizeLease(wanted);
      const inOrder = [before, first?.takenAt, between, next.takenAt, await store.wallNow()];
      expect(inOrder).toEqual([...inOrder].sort((left, right) => Number(left) - Number(right)));
    });

    test('a lease ends by itself, on the clock of the store', async () => {
      const { store } = use();
      const authorizationId = newId();
      const first = await store.takeLease({ authorizationId, owner: 'first', leaseMs: TINY_LEASE_MS });
      expect(first?.fence).toBe(1);
      expect(await untilTaken(store, authorizationId)).toBe(2);
    });

    test('a released lease can be taken at once, and the fence goes on growing', async () => {
      const { store } = use();
      const authorizationId = newId();
      for (const expected of [1, 2, 3]) {
        const fence = await taken(store, authorizationId);
        expect(fence.fence).toBe(expected);
        await store.releaseLease({ ...fence, owner: 'contract' });
      }
    });

    test('a release by another owner or under an older fence does nothing', async () => {
      const { store } = use();
      const authorizationId = newId();
      const fence = await taken(store, authorizationId);
      await store.releaseLease({ ...fence, owner: 'somebody' });
      await store.releaseLease({ authorizationId, fence: fence.fence - 1, owner: 'contract' });
      await store.releaseLease({ authorizationId, fence: fence.fence + 1, owner: 'contract' });
      expect(await store.takeLease({ authorizationId, owner: 'next', leaseMs: LONG_LEASE_MS })).toBeNull();
    });

    test('seizing takes a live lease and its former holder can neither renew nor release it', async () => {
      const { store } = use();
      const authorizationId = newId();
      const former = await taken(store, authorizationId);
      const seized = await store.seizeLease({ authorizationId, owner: 'purger', leaseMs: LONG_LEASE_MS });
      expect(seized.fence).toBe(former.fence + 1);
      expect(await store.renewLease({ ...former, owner: 'contract', leaseMs: LONG_LEASE_MS })).toBe(false);
      await store.releaseLease({ ...former, owner: 'contract' });
      expect(await store.takeLease({ authorizationId, owner: 'next', leaseMs: LONG_LEASE_MS })).toBeNull();
      expect((await store.seizeLease({ authorizationId: newId(), owner: 'purger', leaseMs: 1 })).fence).toBe(1);
    });

    test('a renewal keeps others out and needs the owner and the fence', async () => {
      const { store, sql } = use();
      const authorizationId = newId();
      const fence = await taken(store, authorizationId);
      await expireLease(sql, authorizationId);
      const renewal = { ...fence, owner: 'contract', leaseMs: LONG_LEASE_MS };
      expect(await store.renewLease({ ...renewal, owner: 'somebody' })).toBe(false);
      expect(await store.renewLease({ ...renewal, fence: fence.fence + 1 })).toBe(false);
      expect(await store.renewLease(renewal)).toBe(true);
      expect(await store.takeLease({ authorizationId, owner: 'next', leaseMs: LONG_LEASE_MS })).toBeNull();
      expect(await store.renewLease({ ...renewal, authorizationId: newId() })).toBe(false);
    });

    test('a taking shows what stands behind the lease: the authorization, its tokens, its intent, its source', async () => {
      const { store } = use();
      const source = newId();
      const id = await inserted(store, { source });
      const bare = await store.takeLease({ authorizationId: id, owner: 'first', leaseMs: LONG_LEASE_MS });
      expect(bare?.standing).toStrictEqual({
        authorization: await store.get(id),
        tokens: await store.tokens(id),
        intent: null,
        sourceCondition: null,
      });
      const intent = intentOf(id);
      await store.openIntent({ authorizationId: id, fence: 1, intent, lease: { owner: 'first', leaseMs: 1 } });
      await store.noteSource({ source, condition: 'suspended', at: NOW });
      const seized = await store.seizeLease({ authorizationId: id, owner: 'next', leaseMs: LONG_LEASE_MS });
      expect(seized.standing).toMatchObject({ intent, sourceCondition: 'suspended' });
    });

    test('the holder of an expired lease that nobody took again may still commit', async () => {
      const { store, sql } = use();
      const id = await inserted(store);
      const fence = await taken(store, id);
      await expireLease(sql, id);
      expect(await store.update({ ...fence, patch: { failedRuns: 7 }, actor: 'late' })).toBe('committed');
    });
  });
}

async function untilTaken(store: Store, authorizationId: string): Promise<number> {
  for (let polls = 0; polls < POLLS_MAX; polls += 1) {
    const fence = await store.takeLease({ authorizationId, owner: 'second', leaseMs: LONG_LEASE_MS });
    if (fence !== null) return fence.fence;
    await new Promise((resolve) => setTimeout(resolve, POLL_EVERY_MS));
  }
  throw new Error('the lease did not end');
}
