import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { Ends } from '../../../src/core/authorization.ts';
import { NO_ENDS } from '../../../src/core/calendar.ts';
import type { Store } from '../../../src/core/ports/store.ts';
import { ACTOR, inserted, intentOf, LEASE, NOW, newId, taken, tokensOf, type Use } from './samples.ts';

const STANDING = { state: 'active', usage: 'MULTIPLE', trouble: null, purgeDueAt: null } as const;
const DAY_MS = 86_400_000;

export function calendarContract(use: Use): void {
  describe('the calendar', () => {
    test('what is to be looked at comes in the order of its looks, and not before', async () => {
      const { store } = use();
      const at = NOW - 500_000;
      const [late, early, later] = [
        await inserted(store, { nextWarningAt: at + 2 }),
        await inserted(store, { nextWarningAt: at + 1 }),
        await inserted(store, { nextWarningAt: at + 3 }),
      ];
      const due = await store.dueWarnings({ now: at + 2, limit: 1_000 });
      const mine = due.map(({ id }) => id).filter((id) => [late, early, later].includes(id));
      expect(mine).toStrictEqual([early, late]);
    });

    test('a warning is an event and the plan of the next look, and known again for this very end', async () => {
      const { store } = use();
      const id = await inserted(store, STANDING);
      const fence = await taken(store, id);
      const endsAt = NOW + 7 * DAY_MS;
      const event = { at: NOW, source: 'flexpa', reason: 'refreshToken', endsAt, daysLeft: 7 } as const;
      const asked = { authorizationId: id, reason: 'refreshToken' } as const;
      expect(await store.warnedAt({ ...asked, endsAt })).toBeNull();
      expect(await store.warn({ ...fence, event, nextWarningAt: NOW + 5 })).toBe('committed');
      expect(await store.warnedAt({ ...asked, endsAt })).toBe(NOW);
      expect(await store.warnedAt({ ...asked, endsAt: endsAt + 60_000 }), 'moved by a minute').toBe(NOW);
      expect(await store.warnedAt({ ...asked, endsAt: endsAt + DAY_MS })).toBeNull();
      expect(await store.warnedAt({ ...asked, reason: 'consent', endsAt })).toBeNull();
      expect((await store.get(id))?.nextWarningAt).toBe(NOW + 5);
      expect(await eventsOf(store, id)).toMatchObject([{ ...event, kind: 'ending', authorizationId: id }]);
    });

    test('it lists by the earliest end; ONE_TIME, what ends later and what has ended are not in it', async () => {
      const { store } = use();
      const at = NOW - 900 * DAY_MS;
      const ends = (ms: number): Ends => ({ ...NO_ENDS, consent: at + ms });
      const waiting = await store.countWaiting();
      const dead = await inserted(store, { ...STANDING, state: 'needs_reauthorization', stateReason: 'revoked' });
      const second = await inserted(store, { ...STANDING, ends: ends(2) });
      const first = await inserted(store, { ...STANDING, ends: { ...ends(9), accessGrant: at + 1 } });
      const others = [
        await inserted(store, { ...STANDING, usage: 'ONE_TIME', ends: ends(1) }),
        await inserted(store, { ...STANDING, ends: ends(10) }),
        await inserted(store, { ...STANDING, ends: NO_ENDS }),
      ];
      const listed = await store.calendar({ before: at + 5, limit: 10_000 });
      const mine = listed.map(({ id }) => id).filter((id) => [dead, second, first, ...others].includes(id));
      expect(mine).toStrictEqual([first, second]);
      expect(await store.countEnding({ before: at + 5 })).toBe(2);
      expect(await store.countWaiting()).toBe(waiting + 1);
    });
  });

  eventsContract(use);
}

function eventsContract(use: Use): void {
  describe('the event feed', () => {
    test('a dead authorization and its repair are events, each once, in their order', async () => {
      const { store } = use();
      const id = await inserted(store, STANDING);
      const fence = await taken(store, id);
      const dead = { state: 'needs_reauthorization', stateReason: 'ambiguous_refresh' } as const;
      for (const patch of [dead, dead, { failedRuns: 1 }]) await store.update({ ...fence, patch, actor: ACTOR });
      const patch = { state: 'active', stateReason: 'late_reply' } as const;
      await store.update({ ...fence, patch, actor: ACTOR });
      expect(await eventsOf(store, id)).toMatchObject([
        { kind: 'needs_reauthorization', reason: 'ambiguous_refresh', source: 'flexpa', at: NOW + 1_000 },
        { kind: 'repaired', reason: 'late_reply' },
      ]);
    });

    test('a refresh whose outcome is unknown is told once, and that it is known again once', async () => {
      const { store } = use();
      const id = await inserted(store, STANDING);
      const fence = await taken(store, id);
      const unsure = { trouble: { kind: 'unsure', since: NOW, until: NOW + 1 } } as const;
      for (const patch of [unsure, unsure, { trouble: null }, { trouble: null }]) {
        await store.update({ ...fence, patch, actor: ACTOR });
      }
      const outage = { trouble: { kind: 'outage', since: NOW, until: NOW + 1 } } as const;
      await store.update({ ...fence, patch: outage, actor: ACTOR });
      expect((await eventsOf(store, id)).map(({ kind }) => kind)).toStrictEqual([
        'refresh_unsure',
        'refresh_sure_again',
      ]);
    });

    test('cursors grow in the order in which events become visible: no reader passes one that comes later', async () => {
      const { store } = use();
      const ids = await Promise.all(Array.from({ length: 20 }, () => inserted(store, STANDING)));
      const seen: number[] = [];
      const writing = Promise.all(ids.map((id) => die(store, id)));
      let after = (await store.events({ after: 0, limit: 10_000 })).at(-1)?.cursor ?? 0;
      const start = after;
      let writes = true;
      void writing.finally(() => {
        writes = false;
      });
      for (let last = false; !last; ) {
        last = !writes;
        const page = await store.events({ after, limit: 3 });
        // The embedded database answers before any timer runs.
        await nextTurn();
        seen.push(...page.map(({ cursor }) => cursor));
        after = page.at(-1)?.cursor ?? after;
        if (page.length > 0) last = false;
      }
      const all = (await store.events({ after: start, limit: 10_000 })).map(({ cursor }) => cursor);
      expect(seen).toStrictEqual(all);
    });
  });

  describe('a new consent', () => {
    test('puts its tokens in the place of the old ones, remembers the old request, and is an event and an audit entry', async () => {
      const { store } = use();
      const id = await inserted(store, { ...STANDING, state: 'needs_reauthorization', stateReason: 'revoked' });
      const fence = await taken(store, id);
      await store.openIntent({ ...fence, intent: intentOf(id), lease: LEASE });
      const value = { ...fence, expectedVersion: 1, tokens: tokensOf(2), fingerprint: 'second', actor: ACTOR };
      const patch = { state: 'active', stateReason: 'reauthorized', acceptedAt: NOW + 77 } as const;
      expect(await store.reauthorize({ ...value, patch })).toBe('committed');
      expect(await store.tokens(id)).toStrictEqual(value.tokens);
      expect(await store.intent(id)).toBeNull();
      expect(await store.get(id)).toMatchObject(patch);
      expect(await store.fingerprintsOf(id)).toStrictEqual({ current: 'second', earlier: ['print'] });
      expect((await eventsOf(store, id)).map(({ kind }) => kind)).toStrictEqual(['repaired']);
      expect((await store.auditOf(id)).at(-1)).toMatchObject({ action: 'state:active', reason: 'reauthorized' });
      expect(await store.reauthorize({ ...value, patch }), 'the version has moved').toBe('superseded');
    });

    test('of a living authorization ends its warnings too', async () => {
      const { store } = use();
      const id = await inserted(store, STANDING);
      const fence = await taken(store, id);
      const patch = { state: 'active', stateReason: 'reauthorized', acceptedAt: NOW } as const;
      const value = { ...fence, expectedVersion: 1, tokens: tokensOf(2), fingerprint: newId(), actor: ACTOR };
      await store.reauthorize({ ...value, patch });
      expect((await eventsOf(store, id)).map(({ kind }) => kind)).toStrictEqual(['repaired']);
    });
  });
}

async function die(store: Store, id: string): Promise<void> {
  const patch = { state: 'needs_reauthorization', stateReason: 'revoked' } as const;
  await store.update({ ...(await taken(store, id)), patch, actor: ACTOR });
}

async function eventsOf(store: Store, id: string) {
  return (await store.events({ after: 0, limit: 10_000 })).filter(({ authorizationId }) => authorizationId === id);
}
