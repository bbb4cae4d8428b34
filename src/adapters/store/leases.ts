import { sql } from 'kysely';
import { PerennialError } from '../../core/errors.ts';
import type { Store, Taken } from '../../core/ports/store.ts';
import { toNumber } from './columns.ts';
import type { Parts } from './fenced.ts';
import { STANDING, type StandingRow, toStanding } from './standing-row.ts';
import type { Big, Db } from './tables.ts';

type Wanted = Parameters<Store['takeLease']>[0];

/** What becomes of a lease that is given back in good order. */
export const RELEASED = sql`expires_at = clock_timestamp(), released = true, crashes = 0`;

/** Leases, on the database's clock: the workers' own may disagree. A row, once made, stays, so that its fence only grows. */
export function leases({ session }: Parts): Pick<Store, 'takeLease' | 'seizeLease' | 'renewLease' | 'releaseLease'> {
  return {
    takeLease: (wanted) => session.query((db) => take({ db, wanted, fromAnybody: false })),
    seizeLease: (wanted) =>
      session.query(async (db) => {
        const fence = await take({ db, wanted, fromAnybody: true });
        if (fence === null) throw new PerennialError('internal');
        return fence;
      }),
    renewLease: (lease) => session.query((db) => renew({ db, lease })),
    releaseLease: (lease) => session.query((db) => release({ db, lease })),
  };
}

/** Gives back a lease that is still its owner's. */
export async function release({
  db,
  lease: { authorizationId, fence, owner, crashes = 0 },
}: {
  readonly db: Db;
  readonly lease: Parameters<Store['releaseLease']>[0];
}): Promise<void> {
  await sql`
    update perennial.leases set expires_at = clock_timestamp(), released = true, crashes = ${crashes}
    where authorization_id = ${authorizationId} and owner = ${owner} and fence = ${fence}`.execute(db);
}

/** Lets a lease that is still its owner's last `leaseMs` from now on; says whether it was. */
export async function renew({
  db,
  lease: { authorizationId, fence, owner, leaseMs },
}: {
  readonly db: Db;
  readonly lease: Parameters<Store['renewLease']>[0];
}): Promise<boolean> {
  const result = await sql`
    update perennial.leases set expires_at = ${endOf(leaseMs)}
    where authorization_id = ${authorizationId} and owner = ${owner} and fence = ${fence} and not released
    returning fence`.execute(db);
  return result.rows.length === 1;
}

/** One statement: of any number of takers exactly one gets the row. Who it belongs to does not matter, not even to the same owner. */
async function take({
  db,
  wanted: { authorizationId, owner, leaseMs },
  fromAnybody,
}: {
  readonly db: Db;
  readonly wanted: Wanted;
  readonly fromAnybody: boolean;
}): Promise<Taken | null> {
  const { rows } = await sql<StandingRow & { readonly taken_fence: Big | null; readonly taken_crashes: number }>`
    select taken_fence, taken_crashes, ${STANDING}
    from perennial.take_lease(${authorizationId}, ${owner}, ${leaseMs}, ${fromAnybody}) as taken`.execute(db);
  const [row] = rows;
  if (row === undefined || row.taken_fence === null) return null;
  return { authorizationId, fence: toNumber(row.taken_fence), crashes: row.taken_crashes, standing: toStanding(row) };
}

/** When a lease of this length ends that is taken or renewed now. */
export function endOf(leaseMs: number) {
  return sql`clock_timestamp() + ${leaseMs}::double precision * interval '1 millisecond'`;
}
