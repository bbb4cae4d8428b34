import { describe, expect, test } from 'vitest';
import {
  ACTOR,
  authorizationOf,
  everythingOf,
  filled,
  forceState,
  inserted,
  KEY_PRINT,
  NOW,
  newId,
  receiptOf,
  taken,
  tokensOf,
  type Use,
} from './samples.ts';

const NOBODY = { packs: Number.NaN };

export function purgesContract(use: Use): void {
  describe('purges', () => {
    test('deleting takes all that belongs to the one authorization, counts it, and nothing of the others', async () => {
      const { store, sql } = use();
      const [id, other] = [await inserted(store), await inserted(store)];
      const [fence, otherFence] = [await taken(store, id), await taken(store, other)];
      await filled(store, fence);
      await filled(store, otherFence);
      const untouched = await everythingOf(store, other);
      const before = await store.get(id);
      expect(await store.deleteRows(fence)).toStrictEqual({
        tokens: 1,
        packs: 4,
        manifests: 2,
        changes: 2,
        journal: 3,
        jobs: 0,
        queueEvents: 0,
      });
      for (const table of ['tokens', 'intents', 'packs', 'manifests', 'changes']) {
        expect(await sql(`select 1 from perennial.${table} where authorization_id = $1`, [id])).toStrictEqual([]);
      }
      const { name: _gone, ...endpoint } = authorizationOf(id).endpoint;
      expect(await store.get(id)).toStrictEqual({
        ...before,
        endpoint,
        lastError: null,
        trouble: null,
        upstreamRef: null,
      });
      expect(await store.fingerprintsOf(id)).toStrictEqual({ current: null, earlier: [] });
      expect(await everythingOf(store, other)).toStrictEqual(untouched);
    });

    test('a deletion done again after a crash still says how many rows there were', async () => {
      const { store } = use();
      const id = await inserted(store);
      const fence = await taken(store, id);
      await filled(store, fence);
      const first = await store.deleteRows(fence);
      expect(await store.deleteRows(fence)).toStrictEqual(first);
      await filled(store, fence);
      const { packs } = await store.deleteRows(fence).then((deleted) => (deleted === 'superseded' ? NOBODY : deleted));
      expect(packs, 'and adds what was written between the tries').toBe(8);
    });

    test('the end of a purge is a receipt, a spent id and an audit entry, and the fence goes on', async () => {
      const { store, sql } = use();
      const id = await inserted(store);
      const fence = await taken(store, id);
      await forceState(sql, id, 'purging');
      await store.deleteRows(fence);
      const receipt = receiptOf(id);
      expect(await store.finishPurge({ ...fence, receipt, actor: 'purger' })).toBe('committed');
      expect(await store.receipt(id)).toMatchObject({ ...receipt, keyFingerprint: KEY_PRINT });
      expect(await store.get(id)).toMatchObject({ state: 'purged', purgedAt: receipt.purgedAt, nextRunAt: null });
      const entry = { at: receipt.purgedAt, actor: 'purger', action: 'state:purged', reason: receipt.reason };
      expect((await store.auditOf(id)).at(-1)).toMatchObject(entry);
      const again = {
        authorization: authorizationOf(id),
        fingerprint: 'f',
        keyFingerprint: KEY_PRINT,
        tokens: tokensOf(1),
        actor: ACTOR,
      };
      expect(await store.insert(again)).toBe('exists');
      expect(await store.tokens(id)).toBeNull();
      expect((await store.seizeLease({ authorizationId: id, owner: 'x', leaseMs: 1 })).fence).toBe(fence.fence + 1);
    });

    test('a purge that was not begun cannot be finished', async () => {
      const { store } = use();
      const id = await inserted(store);
      const fence = await taken(store, id);
      const finish = store.finishPurge({ ...fence, receipt: receiptOf(id), actor: ACTOR });
      await expect(finish).rejects.toMatchObject({ code: 'internal' });
      expect(await store.receipt(id)).toBeNull();
      expect(await store.get(id)).toMatchObject({ state: 'active' });
    });
  });

  dueListsContract(use);
}

function dueListsContract(use: Use): void {
  // Instants of their own, long before those of the other tests: the lists are of the whole store.
  const early = NOW - 1_000_000;

  describe('due lists', () => {
    test('due purges are those past their deadline and those begun, oldest first, never a purged one', async () => {
      const { store, sql } = use();
      const due = [
        await inserted(store, { purgeDueAt: early + 2 }),
        await inserted(store, { purgeDueAt: early + 1, state: 'quarantined' }),
        await inserted(store, { purgeDueAt: early + 3 }),
      ];
      const begun = await inserted(store, { purgeDueAt: null });
      await forceState(sql, begun, 'purging');
      const notDue = [
        await inserted(store, { purgeDueAt: early + 4 }),
        await inserted(store, { purgeDueAt: null }),
        await inserted(store, { purgeDueAt: early, state: 'purged' }),
        newId(),
      ];
      const found = await store.duePurges({ now: early + 3, limit: 1_000 });
      expect(found.filter((id) => due.includes(id))).toStrictEqual([due[1], due[0], due[2]]);
      expect(found).toContain(begun);
      expect(found.filter((id) => notDue.includes(id))).toStrictEqual([]);
      expect(await store.duePurges({ now: early + 3, limit: 1 })).toHaveLength(1);
    });

    test('overdue runs are the pending and active ones whose run has passed, oldest first, not past their deadline', async () => {
      const { store } = use();
      const purgeDueAt = null;
      const overdue = [
        await inserted(store, { nextRunAt: early - 1, purgeDueAt }),
        await inserted(store, { nextRunAt: early - 2, purgeDueAt, state: 'pending' }),
        await inserted(store, { nextRunAt: early - 3, purgeDueAt: NOW }),
      ];
      const others = [
        await inserted(store, { nextRunAt: early, purgeDueAt }),
        await inserted(store, { nextRunAt: null, purgeDueAt }),
        await inserted(store, { nextRunAt: early - 4, purgeDueAt: early }),
        await inserted(store, { nextRunAt: early - 4, purgeDueAt, state: 'suspended' }),
        await inserted(store, { nextRunAt: early - 4, purgeDueAt, state: 'needs_reauthorization' }),
        await inserted(store, { nextRunAt: early - 4, purgeDueAt, state: 'purged' }),
      ];
      // What other tests of this contract have left overdue stands among them.
      const own = new Set([...overdue, ...others]);
      const found = (await store.overdueRuns({ before: early, limit: 1_000 })).filter(({ id }) => own.has(id));
      expect(found.map(({ id }) => id)).toStrictEqual([...overdue].reverse());
      expect(found[0]).toStrictEqual(await store.get(overdue[2] ?? ''));
      expect(await store.overdueRuns({ before: early, limit: 2 })).toHaveLength(2);
    });
  });
}
