import { describe, expect, test } from 'vitest';
import { LIMITS } from '../../../src/core/limits.ts';
import type { Event } from '../../../src/core/ports/feed.ts';
import type { Store } from '../../../src/core/ports/store.ts';
import { NOW, newId, type Use } from './samples.ts';

export function sourceStatesContract(use: Use): void {
  describe('sources in trouble', () => {
    test('a suspension is noted and announced once, however often it is told, and over with the first grant', async () => {
      const { store } = use();
      const source = newId();
      for (const at of [NOW, NOW + 1]) await store.noteSource({ source, condition: 'suspended', at });
      expect(await stateOf(store, source)).toStrictEqual({
        source,
        condition: 'suspended',
        since: NOW,
        lastAt: NOW + 1,
        failures: 2,
        announced: true,
        probeAt: NOW + 1 + LIMITS.sourceProbeEveryMs,
      });
      for (const at of [NOW + 2, NOW + 3]) await store.clearSource({ source, at });
      expect(await stateOf(store, source)).toBeUndefined();
      expect(await kindsOf(store, source)).toStrictEqual(['source_suspended', 'source_recovered']);
    });

    test('one failure is no outage: it is announced with the third in a row, and its end only then', async () => {
      const { store } = use();
      const source = newId();
      const fail = (at: number) => store.noteSource({ source, condition: 'outage', at });
      for (let index = 1; index < LIMITS.outageAfterFailures; index += 1) await fail(NOW + index);
      await store.clearSource({ source, at: NOW + 10 });
      expect(await kindsOf(store, source)).toStrictEqual([]);
      for (let index = 0; index < LIMITS.outageAfterFailures + 2; index += 1) await fail(NOW + 20 + index);
      expect(await kindsOf(store, source)).toStrictEqual(['source_outage']);
      await store.clearSource({ source, at: NOW + 30 });
      expect(await kindsOf(store, source)).toStrictEqual(['source_outage', 'source_recovered']);
    });

    test('nothing lesser takes the place of a suspension, and the graver takes the place of the lesser', async () => {
      const { store } = use();
      const source = newId();
      for (const condition of ['throttled', 'outage', 'suspended', 'outage', 'throttled'] as const) {
        await store.noteSource({ source, condition, at: NOW });
      }
      expect(await stateOf(store, source)).toMatchObject({ condition: 'suspended' });
      expect(await kindsOf(store, source)).toStrictEqual(['source_throttled', 'source_suspended']);
    });

    test('whatever was announced has its end announced, whatever came in between', async () => {
      const { store } = use();
      const source = newId();
      for (const condition of ['throttled', 'outage'] as const) await store.noteSource({ source, condition, at: NOW });
      await store.clearSource({ source, at: NOW });
      expect(await kindsOf(store, source)).toStrictEqual(['source_throttled', 'source_recovered']);
    });

    test('one failure that nobody was told of does not hide that the source throttles', async () => {
      const { store } = use();
      const source = newId();
      for (const condition of ['outage', 'throttled'] as const) await store.noteSource({ source, condition, at: NOW });
      expect(await kindsOf(store, source)).toStrictEqual(['source_throttled']);
    });

    test('of twenty runs of a suspended source one may try in a while, and after a restart one at once', async () => {
      const { store } = use();
      const source = newId();
      const ask = async (at: number) => {
        const tries = Array.from({ length: 20 }, () => store.mayTrySource({ source, at, everyMs: 1_000 }));
        return (await Promise.all(tries)).filter((may) => may).length;
      };
      expect(await ask(NOW), 'a source that is well').toBe(20);
      await store.noteSource({ source, condition: 'suspended', at: NOW });
      expect(await ask(NOW + 1)).toBe(0);
      expect(await ask(NOW + LIMITS.sourceProbeEveryMs)).toBe(1);
      expect(await ask(NOW + LIMITS.sourceProbeEveryMs + 1)).toBe(0);
      await store.probeSources();
      expect(await ask(NOW + 2)).toBe(1);
      expect(await stateOf(store, source)).toMatchObject({ condition: 'suspended', since: NOW, lastAt: NOW });
    });

    test('twenty notes at once make one row and one event', async () => {
      const { store } = use();
      const source = newId();
      const notes = Array.from({ length: 20 }, () => store.noteSource({ source, condition: 'throttled', at: NOW }));
      await Promise.all(notes);
      expect(await stateOf(store, source)).toMatchObject({ failures: 20 });
      expect(await kindsOf(store, source)).toStrictEqual(['source_throttled']);
    });
  });
}

async function stateOf(store: Store, source: string) {
  return (await store.sourceStates()).find((state) => state.source === source);
}

async function kindsOf(store: Store, source: string): Promise<readonly string[]> {
  const events: readonly Event[] = await store.events({ after: 0, limit: 10_000 });
  return events.filter((event) => event.source === source).map(({ kind }) => kind);
}
