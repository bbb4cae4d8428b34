import { describe, expect, test } from 'vitest';
import { mayMove, STATES } from '../../../src/core/authorization.ts';
import { NO_ENDS } from '../../../src/core/calendar.ts';
import {
  ACTOR,
  authorizationOf,
  forceState,
  inserted,
  KEY_PRINT,
  NOW,
  newId,
  taken,
  tokensOf,
  type Use,
} from './samples.ts';

export function authorizationsContract(use: Use): void {
  describe('authorizations', () => {
    test('an inserted authorization and its tokens come back field by field', async () => {
      const { store } = use();
      const authorization = authorizationOf(newId());
      const tokens = tokensOf(1);
      await store.insert({ authorization, fingerprint: 'print-1', keyFingerprint: KEY_PRINT, tokens, actor: 'portal' });
      expect(await store.get(authorization.id)).toStrictEqual(authorization);
      expect(await store.tokens(authorization.id)).toStrictEqual(tokens);
      expect(await store.fingerprintsOf(authorization.id)).toStrictEqual({ current: 'print-1', earlier: [] });
      expect(await store.auditOf(authorization.id)).toStrictEqual([
        {
          at: authorization.acceptedAt,
          authorizationId: authorization.id,
          actor: 'portal',
          action: 'accepted',
          reason: 'accepted',
        },
      ]);
    });

    test('what is optional or null comes back absent or null', async () => {
      const { store } = use();
      const authorization = authorizationOf(newId(), {
        endpoint: { id: 'bare' },
        cadence: {},
        ends: NO_ENDS,
        nextWarningAt: null,
        trouble: null,
        periodMs: null,
        nextRunAt: null,
        purgeDueAt: null,
        purgeReason: null,
        fetchedAt: null,
        lastPull: null,
        freshAsOf: null,
        lastError: null,
      });
      const tokens = tokensOf(1, { refreshExpiresAt: null, hasRefreshToken: false });
      await store.insert({ authorization, fingerprint: 'x', keyFingerprint: KEY_PRINT, tokens, actor: ACTOR });
      expect(await store.get(authorization.id)).toStrictEqual(authorization);
      expect(await store.tokens(authorization.id)).toStrictEqual(tokens);
    });

    test('nothing is known of an id that was never inserted', async () => {
      const { store } = use();
      const id = newId();
      const found = [store.get(id), store.tokens(id), store.intent(id), store.receipt(id)];
      expect(await Promise.all(found)).toStrictEqual([null, null, null, null]);
      expect(await store.fingerprintsOf(id)).toStrictEqual({ current: null, earlier: [] });
    });

    test('of 20 concurrent inserts of one id one is inserted, whole, and the others find it', async () => {
      const { store } = use();
      const id = newId();
      const tries = Array.from({ length: 20 }, (_, index) => ({
        authorization: authorizationOf(id, { service: `service-${index}` }),
        fingerprint: `print-${index}`,
        keyFingerprint: KEY_PRINT,
        tokens: tokensOf(1),
        actor: ACTOR,
      }));
      const results = await Promise.all(tries.map((value) => store.insert(value)));
      expect(results.filter((result) => result === 'inserted')).toHaveLength(1);
      const winner = tries[results.indexOf('inserted')];
      expect(await store.get(id)).toStrictEqual(winner?.authorization);
      expect(await store.tokens(id)).toStrictEqual(winner?.tokens);
      expect((await store.fingerprintsOf(id)).current).toBe(winner?.fingerprint);
      expect(await store.auditOf(id)).toHaveLength(1);
    });

    test('a patch changes what it names, null included, and nothing else', async () => {
      const { store } = use();
      const id = await inserted(store);
      const fence = await taken(store, id);
      const before = await store.get(id);
      const patch = {
        endpoint: { id: 'other' },
        lastPull: null,
        failedRuns: 0,
        lastError: null,
        nextRunAt: NOW + 17.5,
      };
      expect(await store.update({ ...fence, patch, actor: ACTOR })).toBe('committed');
      expect(await store.get(id)).toStrictEqual({ ...before, ...patch });
      expect(await store.update({ ...fence, patch: {}, actor: ACTOR })).toBe('committed');
      expect(await store.auditOf(id)).toHaveLength(1);
    });

    test('the list goes through all by id, page by page, and by state', async () => {
      const { store } = use();
      const ids: string[] = [];
      for (let count = 0; count < 5; count += 1) ids.push(await inserted(store, { state: 'quarantined' }));
      const seen: string[] = [];
      for (let after: string | null = null; ; ) {
        const page = await store.list({ after, limit: 2, state: 'quarantined' });
        if (page.length === 0) break;
        expect(page.length).toBeLessThanOrEqual(2);
        seen.push(...page.map(({ id }) => id));
        after = seen.at(-1) ?? null;
      }
      expect(seen).toStrictEqual([...seen].sort());
      expect(seen.filter((id) => ids.includes(id))).toHaveLength(5);
      const all = await store.list({ after: null, limit: 500 });
      expect(all.map(({ id }) => id)).toStrictEqual(all.map(({ id }) => id).sort());
      expect(all.length).toBeGreaterThanOrEqual(5);
    });

    test('every state is counted, the empty ones as 0', async () => {
      const { store } = use();
      const before = await store.countByState();
      expect(Object.keys(before).sort()).toStrictEqual([...STATES].sort());
      await inserted(store, { state: 'suspended' });
      expect(await store.countByState()).toStrictEqual({ ...before, suspended: before.suspended + 1 });
    });
  });

  stateMachineContract(use);
}

function stateMachineContract(use: Use): void {
  describe('the state machine', () => {
    const pairs = STATES.flatMap((from) => STATES.map((to) => ({ from, to })));

    test.each(pairs)(
      '$from to $to is written with its audit entry, or refused and nothing is written',
      async (move) => {
        const { store, sql } = use();
        const id = await inserted(store);
        const fence = await taken(store, id);
        await forceState(sql, id, move.from);
        const before = await store.get(id);
        const patch = { state: move.to, stateReason: 'paused_by_operator', failedRuns: 9 } as const;
        const write = store.update({ ...fence, patch, actor: 'mover' });
        if (move.from !== move.to && !mayMove(move)) {
          await expect(write).rejects.toMatchObject({ code: 'internal' });
          expect(await store.get(id)).toStrictEqual(before);
          expect(await store.auditOf(id)).toHaveLength(1);
          return;
        }
        expect(await write).toBe('committed');
        expect(await store.get(id)).toStrictEqual({ ...before, ...patch });
        expect((await store.auditOf(id)).slice(1)).toMatchObject([
          { actor: 'mover', action: `state:${move.to}`, reason: 'paused_by_operator', authorizationId: id },
        ]);
      },
    );

    test('the same state and reason again is no move and leaves no audit entry', async () => {
      const { store } = use();
      const id = await inserted(store);
      const fence = await taken(store, id);
      const patch = { state: 'active', stateReason: 'accepted', failedRuns: 1 } as const;
      expect(await store.update({ ...fence, patch, actor: ACTOR })).toBe('committed');
      expect(await store.auditOf(id)).toHaveLength(1);
    });

    test('a purged authorization takes no patch', async () => {
      const { store, sql } = use();
      const id = await inserted(store);
      const fence = await taken(store, id);
      await forceState(sql, id, 'purged');
      const before = await store.get(id);
      expect(await store.update({ ...fence, patch: { nextRunAt: NOW + 1 }, actor: ACTOR })).toBe('superseded');
      expect(await store.get(id)).toStrictEqual(before);
    });
  });
}
