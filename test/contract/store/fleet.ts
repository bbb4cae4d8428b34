import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { Authorization } from '../../../src/core/authorization.ts';
import { compareDeadlines } from '../../../src/core/catch-up.ts';
import { phaseBucketOf } from '../../../src/core/phase.ts';
import type { Store } from '../../../src/core/ports/store.ts';
import {
  ACTOR,
  authorizationOf,
  forceState,
  KEY_PRINT,
  LONG_LEASE_MS,
  NOW,
  newId,
  taken,
  tokensOf,
  type Use,
} from './samples.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const TINY_LEASE_MS = 30;
const LATE_AFTER = {
  networks: { TEFCA_IAS: DAY_MS, CMS_9115: 2 * DAY_MS, ONC_G10: DAY_MS },
  endpoints: { slow: 3 * DAY_MS },
};

async function insertedAs(store: Store, authorization: Authorization, tokens = tokensOf(1)): Promise<void> {
  const value = { authorization, fingerprint: 'print', keyFingerprint: KEY_PRINT, tokens, actor: ACTOR };
  expect(await store.insert(value)).toBe('inserted');
}

async function placedIn({
  store,
  places,
}: {
  readonly store: Store;
  readonly places: readonly Partial<Authorization>[];
}) {
  for (const place of places) {
    const standing = { network: 'ONC_G10', usage: 'MULTIPLE', ...place } as const;
    await insertedAs(store, authorizationOf(newId(), standing));
  }
}

export function fleetContract(use: Use): void {
  describe('places in the period', () => {
    test('are counted by their parts: what stands and repeats, of one network, and nothing else', async () => {
      const { store } = use();
      const [full, lone, empty] = [phaseBucketOf(0.25), phaseBucketOf(0.5), phaseBucketOf(0.75)];
      const count = async () => {
        const loads = await store.phaseLoads({ network: 'ONC_G10', buckets: [full, lone, empty] });
        return [full, lone, empty].map((bucket) => loads.get(bucket));
      };
      const [before = 0, alone = 0, none = 0] = await count();
      await placedIn({
        store,
        places: [
          ...[0.25, 0.25, 0.25 + 1e-6].map((phase) => ({ phase })),
          { phase: 0.5, state: 'suspended' },
          { phase: 0.25, usage: 'ONE_TIME' },
          { phase: 0.25, network: 'CMS_9115' },
          { phase: 0.25, state: 'needs_reauthorization' },
          { phase: 0.25, state: 'purging' },
        ],
      });
      expect(await count()).toEqual([before + 3, alone + 1, none]);
    });
  });

  describe('duties', () => {
    test('one of 20 that ask at once has a duty, keeps it as often as it asks, and loses it when it gives it back', async () => {
      const { store } = use();
      const duty = { name: 'catch_up', leaseMs: LONG_LEASE_MS } as const;
      const owners = Array.from({ length: 20 }, (_, index) => `owner-${index}`);
      const asked = await Promise.all(owners.map((owner) => store.takeDuty({ ...duty, owner })));
      const holders = owners.filter((_, index) => asked[index]);
      expect(holders).toHaveLength(1);
      const [holder = ''] = holders;
      const other = owners.find((owner) => owner !== holder) ?? '';
      expect(await store.takeDuty({ ...duty, owner: holder })).toBe(true);
      await store.releaseDuty({ name: 'catch_up', owner: other });
      expect(await store.takeDuty({ ...duty, owner: other })).toBe(false);
      await store.releaseDuty({ name: 'catch_up', owner: holder });
      expect(await store.takeDuty({ ...duty, owner: other })).toBe(true);
      await store.releaseDuty({ name: 'catch_up', owner: other });
    });

    test('a duty of one who says nothing more is free on the clock of the store; another duty is not touched', async () => {
      const { store } = use();
      await store.takeDuty({ name: 'reconcile', owner: 'dead', leaseMs: TINY_LEASE_MS });
      await store.takeDuty({ name: 'catch_up', owner: 'other', leaseMs: LONG_LEASE_MS });
      while (!(await store.takeDuty({ name: 'reconcile', owner: 'next', leaseMs: LONG_LEASE_MS }))) await wait(5);
      expect(await store.takeDuty({ name: 'reconcile', owner: 'dead', leaseMs: LONG_LEASE_MS })).toBe(false);
      expect(await store.takeDuty({ name: 'catch_up', owner: 'next', leaseMs: LONG_LEASE_MS })).toBe(false);
      await store.releaseDuty({ name: 'reconcile', owner: 'next' });
      await store.releaseDuty({ name: 'catch_up', owner: 'other' });
    });

    test('the mark and the last pass are remembered; a new mark alone leaves the pass', async () => {
      const { store } = use();
      expect(await store.reconciled()).toEqual({ mark: null, lastPass: null });
      await store.noteReconciled({ mark: 'first' });
      expect(await store.reconciled()).toEqual({ mark: 'first', lastPass: null });
      await store.noteReconciled({ mark: 'second', pass: { authorizations: 7, drift: 2 } });
      await store.noteReconciled({ mark: 'third' });
      const { mark, lastPass } = await store.reconciled();
      expect({ mark, ...lastPass }).toEqual({ mark: 'third', authorizations: 7, drift: 2, agoMs: expect.any(Number) });
    });
  });

  describe('plans', () => {
    test('come page by page in the order of ids, without the purged, and by id with them', async () => {
      const { store, sql } = use();
      const stem = newId();
      const ids = ['1', '2', '3'].map((end) => `${stem}-${end}`);
      for (const id of ids) await insertedAs(store, authorizationOf(id));
      const [first = '', second = '', third = ''] = ids;
      const page = await store.plans({ after: first, limit: 2 });
      expect(page.map(({ id }) => id)).toEqual([second, third]);
      const { state, usage, periodMs, phase, nextRunAt, purgeDueAt, fetchedAt, atEnd, upstreamEnd } =
        authorizationOf(second);
      const plan = { id: second, state, usage, periodMs, phase, nextRunAt, purgeDueAt, fetchedAt, atEnd, upstreamEnd };
      expect(page[0]).toMatchObject(plan);
      const named = await store.plansOf([third, first, newId()]);
      expect(named.map(({ id }) => id).sort()).toEqual([first, third]);
      await forceState(sql, third, 'purged');
      expect((await store.plans({ after: second, limit: 2 })).map(({ id }) => id)).not.toContain(third);
      expect(await store.plansOf([third])).toMatchObject([{ state: 'purged' }]);
    });

    test('that are overdue come nearest deadline first, as core has it, and are planned anew once', async () => {
      const { store } = use();
      const before = NOW - 100 * DAY_MS;
      const ago = (hours: number) => before - hours * HOUR_MS;
      const members = [
        { freshAsOf: ago(30), refreshExpiresAt: null },
        { freshAsOf: ago(50), refreshExpiresAt: null },
        { freshAsOf: ago(1), refreshExpiresAt: before + HOUR_MS },
        { freshAsOf: ago(60), refreshExpiresAt: ago(1), endpoint: { id: 'slow' } },
        { freshAsOf: ago(60), refreshExpiresAt: null, network: 'CMS_9115' as const },
        { freshAsOf: null, refreshExpiresAt: null },
      ];
      const deadlines = await Promise.all(
        members.map(async ({ refreshExpiresAt, ...differences }) => {
          const id = newId();
          const authorization = authorizationOf(id, {
            usage: 'MULTIPLE',
            cadence: {},
            nextRunAt: before - 1,
            purgeDueAt: null,
            endpoint: { id: 'quick' },
            ...differences,
          });
          const accessExpiresAt = before + DAY_MS;
          await insertedAs(store, authorization, tokensOf(1, { accessExpiresAt, refreshExpiresAt }));
          const lateAfterMs =
            authorization.endpoint.id === 'slow' ? 3 * DAY_MS : LATE_AFTER.networks[authorization.network];
          return { id, freshAsOf: authorization.freshAsOf, lateAfterMs, accessExpiresAt, refreshExpiresAt };
        }),
      );
      const held = newId();
      await insertedAs(store, authorizationOf(held, { usage: 'MULTIPLE', nextRunAt: before - 1, purgeDueAt: null }));
      await taken(store, held);
      const wanted = { before, now: before, urgentBefore: before + 2 * HOUR_MS, lateAfter: LATE_AFTER };
      const order = deadlines.toSorted(compareDeadlines(wanted)).map(({ id }) => id);
      expect((await store.overdueByDeadline({ ...wanted, limit: 100 })).map(({ id }) => id)).toEqual(order);
      expect((await store.overdueByDeadline({ ...wanted, limit: 2 })).map(({ id }) => id)).toEqual(order.slice(0, 2));
      expect(await store.countOverdue({ before, limit: 100 })).toBe(order.length);
      expect(await store.countOverdue({ before, limit: 3 })).toBe(3);
      const plans = order.map((id, index) => ({ id, nextRunAt: before + index * 0.5 }));
      expect(await store.replan({ before, plans })).toBe(order.length);
      expect(await store.replan({ before, plans })).toBe(0);
      expect(await store.countOverdue({ before, limit: 100 })).toBe(0);
      expect((await store.get(order[3] ?? ''))?.nextRunAt).toBe(before + 1.5);
    });
  });
}
