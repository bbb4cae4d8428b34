import { describe, expect, test } from 'vitest';
import { type Fence, moveTo, type Store } from '../../../src/core/ports/store.ts';
import {
  ACTOR,
  expireLease,
  inserted,
  intentOf,
  LEASE,
  LONG_LEASE_MS,
  NOW,
  taken,
  tokensOf,
  type Use,
} from './samples.ts';

/** More than go in one statement. */
const MANY = 100;
const OWNER = { owner: ACTOR } as const;

/** Runs that write at the same moment may share statements: each gets its own all the same. */
export function togetherContract(use: Use): void {
  describe('writes at the same moment', () => {
    test('a hundred runs at once take their own lease, open their own intent, and commit their own pair and plan', async () => {
      const { store } = use();
      const ids = await manyOf(store);
      const fences = await Promise.all(ids.map((id) => taken(store, id)));
      expect(fences.map(({ authorizationId }) => authorizationId)).toEqual(ids);
      const intents = ids.map((id, place) => intentOf(id, { startedAt: NOW + place }));
      const opened = fences.map((fence, place) => openIntent({ store, fence, intent: intents[place] }));
      expect(new Set(await Promise.all(opened))).toEqual(new Set(['committed']));
      expect(await Promise.all(ids.map((id) => store.intent(id)))).toEqual(intents);
      const pairs = ids.map((_, place) => tokensOf(2, { accessExpiresAt: NOW + place, doubtAt: null }));
      const ends = { refreshToken: NOW + 0.125, maxAuthorization: null, accessGrant: null, consent: null };
      const commits = fences.map((fence, place) => {
        const patch = { trouble: null, periodMs: 1_000 + place, ends };
        return store.commitTokens({
          ...fence,
          expectedVersion: 1,
          tokens: pairs[place] ?? tokensOf(2),
          patch,
          actor: ACTOR,
        });
      });
      expect(new Set(await Promise.all(commits))).toEqual(new Set(['committed']));
      expect(await Promise.all(ids.map((id) => store.tokens(id)))).toEqual(pairs);
      expect(await Promise.all(ids.map((id) => store.intent(id)))).toEqual(ids.map(() => null));
      const plans = fences.map((fence, place) =>
        plan({ store, fence, periodMs: 1_000 + place, nextRunAt: NOW - place }),
      );
      expect(new Set(await Promise.all(plans))).toEqual(new Set(['committed']));
      const rows = await Promise.all(ids.map((id) => store.get(id)));
      expect(rows).toMatchObject(ids.map((_, place) => ({ periodMs: 1_000 + place, nextRunAt: NOW - place, ends })));
      // The plan gave each lease back.
      expect((await Promise.all(ids.map((id) => taken(store, id)))).map(({ fence }) => fence)).toEqual(
        ids.map(() => 2),
      );
    });

    test('one that is superseded, and one that cannot be written at all, cost the others nothing', async () => {
      const { store } = use();
      const ids = await manyOf(store);
      const fences = await Promise.all(ids.map((id) => taken(store, id)));
      const [stale, odd] = fences;
      const written = await Promise.allSettled(
        fences.map(({ authorizationId, fence }) => {
          const failedRuns = authorizationId === odd?.authorizationId ? Number.MAX_SAFE_INTEGER : 7;
          const own = authorizationId === stale?.authorizationId ? fence - 1 : fence;
          return store.update({ authorizationId, fence: own, patch: { failedRuns }, actor: ACTOR });
        }),
      );
      const others = written.slice(2);
      expect(written[0]).toEqual({ status: 'fulfilled', value: 'superseded' });
      expect(new Set(others.map((one) => one.status === 'fulfilled' && one.value))).toEqual(new Set(['committed']));
      const rows = await Promise.all(ids.slice(2).map((id) => store.get(id)));
      expect(new Set(rows.map((row) => row?.failedRuns))).toEqual(new Set([7]));
    });

    test('of two writes for one authorization at the same moment the later one stands', async () => {
      const { store } = use();
      const fence = await taken(store, await inserted(store));
      const writes = [1, 2, 3].map((failedRuns) => store.update({ ...fence, patch: { failedRuns }, actor: ACTOR }));
      expect(await Promise.all(writes)).toEqual(['committed', 'committed', 'committed']);
      expect(await store.get(fence.authorizationId)).toMatchObject({ failedRuns: 3 });
    });
  });

  describe('a plan as of what was known', () => {
    test('is written with the lease given back, or, where the period or the news have changed, not at all', async () => {
      const { store, sql } = use();
      const fence = await taken(store, await inserted(store, { periodMs: 5_000, toldAt: null }));
      expect(await plan({ store, fence, periodMs: 4_000, toldAt: null, nextRunAt: NOW })).toBe('changed');
      expect(await plan({ store, fence, periodMs: 5_000, toldAt: NOW, nextRunAt: NOW })).toBe('changed');
      expect(await store.get(fence.authorizationId)).not.toMatchObject({ nextRunAt: NOW });
      expect(await store.takeLease({ ...fence, ...OWNER, leaseMs: LONG_LEASE_MS })).toBeNull();
      expect(await plan({ store, fence, periodMs: 5_000, toldAt: null, nextRunAt: NOW })).toBe('committed');
      expect(await store.get(fence.authorizationId)).toMatchObject({ nextRunAt: NOW });
      const next = await store.takeLease({ ...fence, owner: 'next', leaseMs: LONG_LEASE_MS });
      expect(next).toMatchObject({ fence: fence.fence + 1, crashes: 0 });
      await expireLease(sql, fence.authorizationId);
      expect(await plan({ store, fence, periodMs: 4_000, toldAt: null, nextRunAt: NOW })).toBe('superseded');
    });

    test('goes with a new pair, or, where it was overtaken, stays out and costs the pair nothing', async () => {
      const { store } = use();
      const ids = await manyOf(store);
      const fences = await Promise.all(ids.map((id) => taken(store, id)));
      const isOvertaken = (place: number) => place % 2 === 1;
      const commits = fences.map(({ authorizationId, ...fence }, place) => {
        const asOf = { periodMs: isOvertaken(place) ? 4_000 : 5_000, toldAt: null };
        const nextRunAt = NOW - 1 - place;
        return store.commitTokens({
          authorizationId,
          ...fence,
          expectedVersion: 1,
          tokens: tokensOf(2),
          patch: { failedRuns: 3, nextWarningAt: NOW },
          actor: ACTOR,
          plan: { patch: { nextRunAt, failedRuns: 0 }, asOf, release: OWNER },
        });
      });
      expect(await Promise.all(commits)).toEqual(ids.map((_, place) => (isOvertaken(place) ? 'committed' : 'planned')));
      const rows = await Promise.all(ids.map((id) => store.get(id)));
      expect(rows.map((row) => row?.nextWarningAt)).toEqual(ids.map(() => NOW));
      expect(rows.map((row) => row?.failedRuns)).toEqual(ids.map((_, place) => (isOvertaken(place) ? 3 : 0)));
      expect(rows.filter((row, place) => row?.nextRunAt === NOW - 1 - place)).toHaveLength(MANY / 2);
      expect((await Promise.all(ids.map((id) => store.tokens(id)))).map((pair) => pair?.version)).toEqual(
        ids.map(() => 2),
      );
      // Only a plan gives the lease back.
      const next = await Promise.all(
        ids.map((authorizationId) => store.takeLease({ authorizationId, owner: 'next', leaseMs: LONG_LEASE_MS })),
      );
      expect(next.map((lease) => lease === null)).toEqual(ids.map((_, place) => isOvertaken(place)));
      expect(new Set(next.flatMap((lease) => (lease === null ? [] : [lease.crashes])))).toEqual(new Set([0]));
    });

    test('of a move is told with the pair all the same: its entry, its plan and the lease given back', async () => {
      const { store } = use();
      const fence = await taken(store, await inserted(store, { periodMs: 5_000, toldAt: null, state: 'pending' }));
      const moving = {
        ...fence,
        expectedVersion: 1,
        tokens: tokensOf(2),
        patch: moveTo('active', 'exchanged'),
        actor: ACTOR,
        plan: { patch: { nextRunAt: NOW }, asOf: { periodMs: 5_000, toldAt: null }, release: OWNER },
      };
      expect(await store.commitTokens(moving)).toBe('planned');
      expect(await store.get(fence.authorizationId)).toMatchObject({ state: 'active', nextRunAt: NOW });
      expect(await store.takeLease({ ...fence, owner: 'next', leaseMs: LONG_LEASE_MS })).not.toBeNull();
    });
  });
}

function manyOf(store: Store): Promise<readonly string[]> {
  return Promise.all(
    Array.from({ length: MANY }, () => inserted(store, { trouble: null, toldAt: null, periodMs: 5_000 })),
  );
}

function openIntent({
  store,
  fence,
  intent = intentOf(fence.authorizationId),
}: {
  readonly store: Store;
  readonly fence: Fence;
  readonly intent: ReturnType<typeof intentOf> | undefined;
}) {
  return store.openIntent({ ...fence, intent, lease: LEASE });
}

function plan({
  store,
  fence,
  periodMs,
  toldAt = null,
  nextRunAt,
}: {
  readonly store: Store;
  readonly fence: Fence;
  readonly periodMs: number;
  readonly toldAt?: number | null;
  readonly nextRunAt: number;
}) {
  const patch = { nextRunAt, failedRuns: 0, lastError: null };
  return store.updateAsOf({ ...fence, patch, actor: ACTOR, release: OWNER, asOf: { periodMs, toldAt } });
}
