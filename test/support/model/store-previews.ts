import type { PreviewStore } from '../../../src/core/ports/preview.ts';
import type { Parts } from './store-tables.ts';

/** What a preview of the load reads, from the tables in memory. */
export function previews({ tables }: Parts): PreviewStore {
  return {
    standing: async ({ after, limit }) =>
      [...tables.authorizations.values()]
        .map(({ authorization }) => authorization)
        .filter(({ id, state, usage }) => state === 'active' && usage === 'MULTIPLE' && id > (after ?? ''))
        .sort((left, right) => (left.id < right.id ? -1 : 1))
        .flatMap(({ id, network, endpoint, cadence, periodMs, phase, nextRunAt, nextPullAt, freshAsOf }) => {
          const tokens = tables.tokens.get(id);
          if (periodMs === null || tokens === undefined) return [];
          const { accessExpiresAt, accessLifetimeMs, refreshExpiresAt } = tokens;
          const standing = { id, network, endpoint, cadence, periodMs, phase, nextRunAt, nextPullAt, freshAsOf };
          return { ...standing, accessExpiresAt, accessLifetimeMs, refreshExpiresAt };
        })
        .slice(0, limit),
  };
}
