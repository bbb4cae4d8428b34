import { NETWORK_POLICIES } from '../../core/networks.ts';
import type { PreviewStore } from '../../core/ports/preview.ts';
import { spreadOf } from '../../core/spread.ts';
import { member, toCadence, toEndpoint } from './columns.ts';
import type { Parts } from './fenced.ts';

/** What a preview of the load reads: a narrow row of each standing authorization, a page at a time along the primary key. */
export function previews({ session }: Parts): PreviewStore {
  return {
    standing: ({ after, limit }) =>
      session.query(async (db) => {
        const rows = await db
          .selectFrom('authorizations as a')
          .innerJoin('tokens as t', 't.authorization_id', 'a.id')
          .select(['a.id', 'a.network', 'a.endpoint', 'a.cadence', 'a.period_ms', 'a.phase'])
          .select(['a.next_run_at', 'a.next_pull_at', 'a.fresh_as_of'])
          .select(['t.access_expires_at', 't.access_lifetime_ms', 't.refresh_expires_at'])
          .where('a.state', '=', 'active')
          .where('a.usage', '=', 'MULTIPLE')
          .where('a.period_ms', 'is not', null)
          .where('a.id', '>', after ?? '')
          .orderBy('a.id')
          .limit(limit)
          .execute();
        return rows.flatMap((row) => {
          if (row.period_ms === null) return [];
          return {
            id: row.id,
            network: member(NETWORK_POLICIES, row.network),
            endpoint: toEndpoint(row.endpoint),
            cadence: toCadence(row.cadence),
            periodMs: row.period_ms,
            phase: row.phase ?? spreadOf(row.id),
            nextRunAt: row.next_run_at,
            nextPullAt: row.next_pull_at,
            freshAsOf: row.fresh_as_of,
            accessExpiresAt: row.access_expires_at,
            accessLifetimeMs: row.access_lifetime_ms,
            refreshExpiresAt: row.refresh_expires_at,
          };
        });
      }),
  };
}
