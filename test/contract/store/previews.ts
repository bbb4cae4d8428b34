import { describe, expect, test } from 'vitest';
import { ACTOR, authorizationOf, forceState, NOW, newId, tokensOf, type Use } from './samples.ts';

export function previewsContract(use: Use): void {
  describe('what a preview of the load reads', () => {
    test('is each standing authorization that repeats, once, in the order of ids, page by page', async () => {
      const { store, sql } = use();
      const wanted = [newId(), newId(), newId()].sort();
      const [once = '', dead = ''] = [newId(), newId()];
      const insert = async (id: string, change: Parameters<typeof authorizationOf>[1] = {}) => {
        const authorization = authorizationOf(id, {
          usage: 'MULTIPLE',
          periodMs: 21_600_000,
          phase: 0.25,
          nextRunAt: NOW + 5,
          ...change,
        });
        await store.insert({ authorization, fingerprint: 'p', keyFingerprint: 'k', tokens: tokensOf(1), actor: ACTOR });
      };
      for (const id of wanted) await insert(id);
      await insert(once, { usage: 'ONE_TIME', periodMs: null });
      await insert(dead);
      await forceState(sql, dead, 'needs_reauthorization');
      const all: string[] = [];
      let after: string | null = null;
      for (let pages = 0; pages < 1_000; pages += 1) {
        const page = await store.standing({ after, limit: 2 });
        all.push(...page.map(({ id }) => id));
        const mine = page.find(({ id }) => id === wanted[0]);
        if (mine !== undefined) {
          const { accessExpiresAt, accessLifetimeMs, refreshExpiresAt } = tokensOf(1);
          expect(mine).toMatchObject({ periodMs: 21_600_000, phase: 0.25, nextRunAt: NOW + 5, network: 'TEFCA_IAS' });
          expect(mine).toMatchObject({ accessExpiresAt, accessLifetimeMs, refreshExpiresAt });
          expect(mine).not.toHaveProperty('sealed');
        }
        after = page.at(-1)?.id ?? null;
        if (page.length < 2) break;
      }
      expect(all.filter((id) => wanted.includes(id))).toEqual(wanted);
      expect(new Set(all).size).toBe(all.length);
      expect(all).not.toContain(once);
      expect(all).not.toContain(dead);
    });
  });
}
