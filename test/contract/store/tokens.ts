import { describe, expect, test } from 'vitest';
import type { Store } from '../../../src/core/ports/store.ts';
import {
  ACTOR,
  everythingOf,
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

/** What is known of a token that was sent and refused without a reason. */
const DOUBT = { unsure: true, unclearSince: NOW + 0.5 } as const;

export function tokensContract(use: Use): void {
  describe('tokens', () => {
    test('a commit stores the pair, closes the intent and applies the patch with its audit entry', async () => {
      const { store } = use();
      const id = await inserted(store, { state: 'pending' });
      const fence = await taken(store, id);
      await store.openIntent({ ...fence, intent: intentOf(id, { kind: 'exchange' }), lease: LEASE });
      const tokens = tokensOf(2);
      const patch = { state: 'active', stateReason: 'exchanged', periodMs: 5 } as const;
      expect(await store.commitTokens({ ...fence, expectedVersion: 1, tokens, patch, actor: ACTOR })).toBe('committed');
      expect(await store.tokens(id)).toStrictEqual(tokens);
      expect(await store.intent(id)).toBeNull();
      expect(await store.get(id)).toMatchObject(patch);
      expect((await store.auditOf(id)).at(-1)).toMatchObject({ action: 'state:active', reason: 'exchanged' });
    });

    test('of two commits over one version the first stays and the second loses', async () => {
      expect(await commitsOverOneVersion(use().store, use().store)).toBe(1);
    });

    test('control: without the compare-and-set the second commit overwrites the first', async () => {
      const { store } = use();
      expect(await commitsOverOneVersion(store, withoutCompareAndSet(store))).toBe(2);
    });

    test('a losing commit leaves intent, patch and audit trail as they were', async () => {
      const { store } = use();
      const id = await inserted(store);
      const fence = await taken(store, id);
      await store.openIntent({ ...fence, intent: intentOf(id), lease: LEASE });
      const before = await everythingOf(store, id);
      const patch = { state: 'suspended', stateReason: 'paused_by_operator' } as const;
      const value = { ...fence, expectedVersion: 7, tokens: tokensOf(8), patch, actor: ACTOR };
      expect(await store.commitTokens(value)).toBe('superseded');
      expect(await everythingOf(store, id)).toStrictEqual(before);
    });

    test('the very same commit offered again, because its answer was lost, counts as committed', async () => {
      const { store } = use();
      const id = await inserted(store);
      const fence = await taken(store, id);
      const value = { ...fence, expectedVersion: 1, tokens: tokensOf(2), patch: {}, actor: ACTOR };
      expect(await store.commitTokens(value)).toBe('committed');
      expect(await store.commitTokens(value)).toBe('committed');
      const newer = await store.seizeLease({ authorizationId: id, owner: 'newer', leaseMs: LONG_LEASE_MS });
      expect(await store.commitTokens(value)).toBe('superseded');
      expect(await store.commitTokens({ ...value, ...newer, tokens: tokensOf(2) })).toBe('superseded');
    });

    test('a version that does not follow, or a move the state machine does not have, writes nothing', async () => {
      const { store } = use();
      const id = await inserted(store);
      const fence = await taken(store, id);
      const before = await everythingOf(store, id);
      const skipped = { ...fence, expectedVersion: 1, tokens: tokensOf(3), patch: {}, actor: ACTOR };
      await expect(store.commitTokens(skipped)).rejects.toMatchObject({ code: 'internal' });
      const illegal = { ...skipped, tokens: tokensOf(2), patch: { state: 'purged' } as const };
      await expect(store.commitTokens(illegal)).rejects.toMatchObject({ code: 'internal' });
      expect(await everythingOf(store, id)).toStrictEqual(before);
    });
  });

  intentsContract(use);
}

function intentsContract(use: Use): void {
  describe('intents', () => {
    test('an intent comes back as it was written, is replaced by the next one, and closed', async () => {
      const { store } = use();
      const id = await inserted(store);
      const fence = await taken(store, id);
      const first = intentOf(id);
      const second = intentOf(id, { kind: 'exchange', tokenVersion: 4, unsure: true, parked: true });
      for (const intent of [first, second]) {
        expect(await store.openIntent({ ...fence, intent, lease: LEASE })).toBe('committed');
        expect(await store.intent(id)).toStrictEqual(intent);
      }
      expect(await store.closeIntent(fence)).toBe('committed');
      expect(await store.intent(id)).toBeNull();
    });

    test('an intent renews the lease under which it is written: the whole lease lies before the request', async () => {
      const { store, sql } = use();
      const id = await inserted(store);
      const fence = await taken(store, id);
      await expireLease(sql, id);
      expect(await store.openIntent({ ...fence, intent: intentOf(id), lease: LEASE })).toBe('committed');
      expect(await store.takeLease({ authorizationId: id, owner: 'another', leaseMs: LONG_LEASE_MS })).toBeNull();
    });

    test('parking marks the named attempt and no other', async () => {
      const { store } = use();
      const id = await inserted(store);
      const fence = await taken(store, id);
      const intent = intentOf(id);
      await store.openIntent({ ...fence, intent, lease: LEASE });
      expect(await store.parkIntent({ ...fence, attemptId: 'another', ...DOUBT })).toBe('committed');
      expect(await store.intent(id)).toStrictEqual(intent);
      expect(await store.parkIntent({ ...fence, attemptId: intent.attemptId, ...DOUBT })).toBe('committed');
      expect(await store.intent(id)).toStrictEqual({ ...intent, ...DOUBT, parked: true });
    });

    test('orphans are the open intents whose lease is over, released or was never there; not the parked ones', async () => {
      const { store, sql } = use();
      const open = async (parked: boolean) => {
        const id = await inserted(store);
        const fence = await taken(store, id);
        await store.openIntent({ ...fence, intent: intentOf(id, { parked }), lease: LEASE });
        return { id, fence };
      };
      const [held, over, released, unleased, parked] = [
        await open(false),
        await open(false),
        await open(false),
        await open(false),
        await open(true),
      ];
      await expireLease(sql, over.id);
      await store.releaseLease({ ...released.fence, owner: ACTOR });
      await sql('delete from perennial.leases where authorization_id = $1', [unleased.id]);
      await expireLease(sql, parked.id);
      const orphans = await store.orphanIntents({ limit: 1_000 });
      const mine = [held, over, released, unleased, parked].map(({ id }) => orphans.includes(id));
      expect(mine).toStrictEqual([false, true, true, true, false]);
      expect(await store.orphanIntents({ limit: 1 })).toHaveLength(1);
    });
  });
}

/** How many of two refreshers who read the same version get their pair stored. */
async function commitsOverOneVersion(store: Store, subject: Store): Promise<number> {
  const id = await inserted(store);
  const fence = await taken(store, id);
  const expectedVersion = (await store.tokens(id))?.version ?? 0;
  const pairs = [tokensOf(expectedVersion + 1), tokensOf(expectedVersion + 1)];
  const results = await Promise.all(
    pairs.map((tokens) => subject.commitTokens({ ...fence, expectedVersion, tokens, patch: {}, actor: ACTOR })),
  );
  const winners = results.filter((result) => result === 'committed').length;
  if (winners === 1) expect(await store.tokens(id)).toStrictEqual(pairs[results.indexOf('committed')]);
  return winners;
}

/** A store as it would be without the check: whoever writes is first told the newest version. */
function withoutCompareAndSet(store: Store): Store {
  let queue: Promise<unknown> = Promise.resolve();
  return {
    ...store,
    commitTokens: (value) => {
      const written = queue.then(async () => {
        const expectedVersion = (await store.tokens(value.authorizationId))?.version ?? 0;
        return store.commitTokens({
          ...value,
          expectedVersion,
          tokens: { ...value.tokens, version: expectedVersion + 1 },
        });
      });
      queue = written;
      return written;
    },
  };
}
