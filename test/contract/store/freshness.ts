import { describe, expect, test } from 'vitest';
import type { Authorization } from '../../../src/core/authorization.ts';
import { emptyTally, HOURS, type Tally } from '../../../src/core/change-profile.ts';
import { FRESHNESS_LIMITS } from '../../../src/core/freshness-limits.ts';
import type { Store } from '../../../src/core/ports/store.ts';
import { ACTOR, inserted, intentOf, LEASE, NOW, newId, taken, type Use } from './samples.ts';

function tallyOf(changes: number, watched: number): Tally {
  return { changes: new Float64Array(HOURS).fill(changes), watchedHours: new Float64Array(HOURS).fill(watched) };
}

/** Behind all that other promises look at in the same store. */
const LATER = NOW + 10_000_000_000;

const standing = (store: Store, differences: Partial<Authorization> = {}) =>
  inserted(store, { usage: 'MULTIPLE', nextRunAt: LATER + 1_000, ...differences });

export function freshnessContract(use: Use): void {
  describe('what was learned of an endpoint', () => {
    test('adds up over workers that learn at the same moment, and fades with time', async () => {
      const { store } = use();
      const key = { network: 'TEFCA_IAS', source: 'flexpa', endpointId: newId() } as const;
      await Promise.all(
        Array.from({ length: 5 }, () => store.learnChanges({ ...key, tally: tallyOf(0.25, 2), at: NOW })),
      );
      const profiles = await store.changeProfiles();
      const found = profiles.find(({ endpointId }) => endpointId === key.endpointId);
      expect(found).toMatchObject(key);
      expect([...(found?.profile.changes ?? [])]).toStrictEqual(Array.from({ length: HOURS }, () => 1.25));
      expect([...(found?.profile.watchedHours ?? [])]).toStrictEqual(Array.from({ length: HOURS }, () => 10));
      const later = await store.learnChanges({ ...key, tally: emptyTally(), at: NOW + FRESHNESS_LIMITS.changesFadeMs });
      expect(later.watchedHours[7]).toBeCloseTo(10 / Math.E, 9);
      expect(later.updatedAt).toBe(NOW + FRESHNESS_LIMITS.changesFadeMs);
    });

    test('is forgotten once nobody has added to it for a while, and nothing else is', async () => {
      const { store } = use();
      const [silent, busy] = [newId(), newId()];
      const learn = (endpointId: string, at: number) =>
        store.learnChanges({ network: 'ONC_G10', source: 'silence', endpointId, tally: tallyOf(1, 1), at });
      await learn(silent, NOW - 1);
      await learn(busy, NOW - 1);
      await learn(busy, NOW);
      expect(await store.forgetProfiles({ before: NOW })).toBeGreaterThanOrEqual(1);
      const left = (await store.changeProfiles()).map(({ endpointId }) => endpointId);
      expect([silent, busy].map((one) => left.includes(one))).toEqual([false, true]);
    });

    test('is kept apart by network, source and endpoint', async () => {
      const { store } = use();
      const endpointId = newId();
      await store.learnChanges({ network: 'ONC_G10', source: 'a', endpointId, tally: tallyOf(1, 1), at: NOW });
      await store.learnChanges({ network: 'ONC_G10', source: 'b', endpointId, tally: tallyOf(2, 1), at: NOW });
      const found = (await store.changeProfiles()).filter((one) => one.endpointId === endpointId);
      expect(found.map(({ source, profile }) => [source, profile.changes[0]]).sort()).toStrictEqual([
        ['a', 1],
        ['b', 2],
      ]);
    });
  });

  describe('the age of records', () => {
    test('is told by network in parts and at most, and who is older than promised is counted', async () => {
      const { store } = use();
      const promises = { networks: { TEFCA_IAS: 90, CMS_9115: 1_000, ONC_G10: 90 }, endpoints: { strict: 10 } };
      const ages = async () => {
        const found = await store.freshness({ now: LATER, promises });
        return found.find(({ network }) => network === 'CMS_9115');
      };
      expect(await ages()).toBeUndefined();
      const mine = { network: 'CMS_9115', cadence: {}, endpoint: { id: 'lenient' } } as const;
      for (let age = 1; age <= 100; age += 1) await standing(store, { ...mine, freshAsOf: LATER - age });
      expect(await ages()).toStrictEqual({
        network: 'CMS_9115',
        authorizations: 100,
        late: 0,
        ageMs: { p50: 50, p90: 90, p99: 99, max: 100 },
      });
      await standing(store, { ...mine, freshAsOf: LATER - 11, endpoint: { id: 'strict' } });
      await standing(store, { ...mine, freshAsOf: LATER - 11, cadence: { lateAfterMs: 5 } });
      await standing(store, { ...mine, freshAsOf: null, acceptedAt: LATER - 2_000 });
      await standing(store, { ...mine, freshAsOf: null, acceptedAt: 0, state: 'needs_reauthorization' });
      await standing(store, { ...mine, freshAsOf: LATER + 5, acceptedAt: 0 });
      expect(await ages()).toMatchObject({ authorizations: 104, late: 3, ageMs: { max: 2_000 } });
    });
  });

  describe('a webhook', () => {
    type Hook = Parameters<Store['takeHook']>[0];
    const hook = (differences: Partial<Hook>): Hook => ({
      source: 'flexpa',
      eventId: newId(),
      id: null,
      refs: [],
      at: LATER + 100,
      tells: 'news',
      ...differences,
    });

    test('plans a run at once for whom it means, by our id or by what the source calls it', async () => {
      const { store } = use();
      for (const meant of [(id: string) => ({ id }), (id: string) => ({ refs: [`other-${id}`, `ref-${id}`] })]) {
        const id = await standing(store, {
          nextRunAt: LATER + 1_000,
          toldAt: null,
          askedAt: null,
          doubtedVersion: null,
        });
        expect(await store.takeHook(hook(meant(id)))).toStrictEqual([id]);
        const told = { toldAt: LATER + 100, askedAt: null, doubtedVersion: null, nextRunAt: LATER + 100 };
        expect(await store.get(id)).toMatchObject(told);
      }
    });

    test('is taken once, also of several workers that get it at the same moment', async () => {
      const { store } = use();
      const id = await standing(store);
      const value = hook({ id });
      const taken = await Promise.all(Array.from({ length: 5 }, () => store.takeHook(value)));
      expect(taken.filter((ids) => ids !== null)).toStrictEqual([[id]]);
      expect(await store.takeHook({ ...value, source: 'other' })).toStrictEqual([]);
    });

    test('never moves a plan back, nor what was told later', async () => {
      const { store } = use();
      const id = await standing(store, { nextRunAt: LATER + 10, toldAt: LATER + 500 });
      await store.takeHook(hook({ id }));
      expect(await store.get(id)).toMatchObject({ toldAt: LATER + 500, nextRunAt: LATER + 10 });
    });

    test('that doubts the grant says of which pair, and of the next one while a request for it is on its way', async () => {
      const { store } = use();
      const id = await standing(store, { nextRunAt: LATER + 1_000, toldAt: null, doubtedVersion: null });
      const version = (await store.tokens(id))?.version ?? Number.NaN;
      const fence = await taken(store, id);
      const intent = intentOf(id);
      const doubt = async () => {
        expect(await store.takeHook(hook({ id, tells: 'doubt' }))).toStrictEqual([id]);
        return store.get(id);
      };
      const told = { toldAt: LATER + 100, nextRunAt: LATER + 100 };
      expect(await doubt()).toMatchObject({ ...told, doubtedVersion: version });
      await store.openIntent({ ...fence, intent, lease: LEASE });
      expect(await doubt()).toMatchObject({ doubtedVersion: version + 1 });
      await store.parkIntent({ ...fence, attemptId: intent.attemptId, unsure: true, unclearSince: null });
      expect(await doubt()).toMatchObject({ doubtedVersion: version });
    });

    test('that plans nothing changes nothing, and says whom it means', async () => {
      const { store } = use();
      const id = await standing(store, { toldAt: null });
      const before = await store.get(id);
      expect(await store.takeHook(hook({ id, tells: null }))).toStrictEqual([id]);
      expect(await store.get(id)).toStrictEqual(before);
    });

    test('means nobody of another source, nobody who has ended, and nobody by an empty name', async () => {
      const { store } = use();
      const [foreign, ended] = [newId(), newId()];
      await standing(store, { id: foreign, source: 'elsewhere', upstreamRef: `ref-${foreign}` });
      await standing(store, { id: ended, state: 'needs_reauthorization', upstreamRef: `ref-${ended}` });
      for (const id of [foreign, ended, newId(), '', null]) {
        expect(await store.takeHook(hook({ id, refs: id === null ? [] : [`ref-${id}`] }))).toStrictEqual([]);
      }
    });

    test('means no ONE_TIME authorization: its one fetch has its own time', async () => {
      const { store } = use();
      const id = await standing(store, { usage: 'ONE_TIME', nextRunAt: null, toldAt: null });
      expect(await store.takeHook(hook({ id }))).toStrictEqual([]);
      expect(await store.get(id)).toMatchObject({ toldAt: null, nextRunAt: null });
    });

    test('means no more authorizations than one consent can cover', async () => {
      const { store } = use();
      const upstreamRef = newId();
      for (let made = 0; made < FRESHNESS_LIMITS.hookMeansMax + 2; made += 1) await standing(store, { upstreamRef });
      expect(await store.takeHook(hook({ refs: [upstreamRef] }))).toHaveLength(FRESHNESS_LIMITS.hookMeansMax);
    });

    test('is noted of one alone where a person asks, as a source would tell it, and of nobody who has ended', async () => {
      const { store } = use();
      const never = { nextRunAt: LATER + 1_000, toldAt: null, askedAt: null };
      const [asked, other] = [await standing(store, never), await standing(store)];
      const ended = await standing(store, { state: 'needs_reauthorization' });
      const before = await Promise.all([other, ended].map((id) => store.get(id)));
      for (const authorizationId of [asked, ended, newId()])
        await store.askForPull({ authorizationId, at: LATER + 100 });
      const noted = { toldAt: LATER + 100, askedAt: LATER + 100 };
      expect(await store.get(asked)).toMatchObject({ ...noted, nextRunAt: LATER + 100 });
      expect(await Promise.all([other, ended].map((id) => store.get(id)))).toStrictEqual(before);
      await store.askForPull({ authorizationId: asked, at: LATER });
      expect(await store.get(asked)).toMatchObject({ ...noted, nextRunAt: LATER });
    });

    test('awaits its run until somebody takes its lease, and again when that was given back without a later plan', async () => {
      const { store } = use();
      const authorizationId = await standing(store);
      const awaits = (at: number) => store.awaitsRun({ authorizationId, at });
      expect(await awaits(LATER)).toBe(false);
      await store.askForPull({ authorizationId, at: LATER });
      expect([await awaits(LATER - 1), await awaits(LATER)]).toEqual([false, true]);
      const fence = await taken(store, authorizationId);
      expect(await awaits(LATER)).toBe(false);
      await store.releaseLease({ ...fence, owner: ACTOR });
      expect(await awaits(LATER)).toBe(true);
      await store.update({ ...(await taken(store, authorizationId)), patch: { nextRunAt: LATER + 1 }, actor: ACTOR });
      expect(await awaits(LATER)).toBe(false);
    });
  });
}
