import { sql } from 'kysely';
import { LIMITS } from '../../core/limits.ts';
import type { Store } from '../../core/ports/store.ts';
import { toNumber } from './columns.ts';
import type { Parts } from './fenced.ts';

type Count = { readonly bucket: number; readonly count: string | number | bigint };

/** How the standing authorizations lie in their periods. Counts from an index and no further than a limit, so that a fleet of millions costs no more. */
export function phases({ session }: Parts): Pick<Store, 'phaseLoads'> {
  return {
    phaseLoads: ({ network, buckets }) =>
      session.query(async (db) => {
        const { rows } = await sql<Count>`
          select bucket, (select count(*) from (
            select 1 from perennial.authorizations
              where network = ${network} and floor(phase * ${sql.lit(LIMITS.phaseBuckets)}) = bucket
                and phase is not null and usage = 'MULTIPLE' and state not in ('needs_reauthorization', 'purging', 'purged')
              limit ${LIMITS.phaseLoadMax}) as counted) as count
          from unnest(array[${sql.join(buckets)}]::double precision[]) as wanted (bucket)`.execute(db);
        return new Map(rows.map(({ bucket, count }) => [Number(bucket), toNumber(count)]));
      }),
  };
}
