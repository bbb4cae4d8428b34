import type { Store } from '../../../src/core/ports/store.ts';
import { fenced, type Parts } from './store-tables.ts';

type Proofs = Pick<Store, 'noteSwept' | 'leftOf' | 'purgeLag' | 'reclaim'>;

/** What shows that a purge is complete and in time. */
export function proofs({ tables }: Parts): Proofs {
  return {
    noteSwept: async ({ jobs, events, ...fence }) =>
      fenced({ tables, fence }, () => {
        const before = tables.swept.get(fence.authorizationId) ?? { jobs: 0, events: 0 };
        const sum = { jobs: before.jobs + jobs, events: before.events + events };
        tables.swept.set(fence.authorizationId, sum);
        return sum;
      }),
    leftOf: async (id) => {
      const journal = tables.journals.get(id);
      const pages = journal === undefined ? 0 : 1 + journal.pages.length;
      const records = [
        tables.packs.get(id)?.size,
        tables.manifests.get(id)?.size,
        tables.changes.get(id)?.length,
        pages,
      ];
      return {
        tokens: Number(tables.tokens.has(id)) + Number(tables.intents.has(id)),
        records: records.reduce<number>((sum, count) => sum + (count ?? 0), 0),
      };
    },
    purgeLag: async ({ now, since }) => {
      const recent = [...tables.receipts.values()].filter(({ purgedAt }) => purgedAt >= since);
      const lags = recent.flatMap(({ purgedAt, dueAt }) => (dueAt === null ? [] : [Math.max(0, purgedAt - dueAt)]));
      const sorted = lags.sort((left, right) => left - right);
      const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? null;
      const due = [...tables.authorizations.values()].flatMap(({ authorization: { state, purgeDueAt } }) => {
        const late = state === 'purging' || (state !== 'purged' && (purgeDueAt ?? Number.POSITIVE_INFINITY) <= now);
        return late && purgeDueAt !== null ? [purgeDueAt] : [];
      });
      return {
        purged: sorted.length,
        lastPurgedAt: recent.length === 0 ? null : Math.max(...recent.map(({ purgedAt }) => purgedAt)),
        p50Ms: at(0.5),
        p99Ms: at(0.99),
        oldestDueAt: due.length === 0 ? null : Math.min(...due),
      };
    },
    reclaim: async () => undefined,
  };
}
