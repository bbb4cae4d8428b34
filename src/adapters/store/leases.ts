import { sql } from 'kysely';
import { PerennialError } from '../../core/errors.ts';
import type { Store, Taken } from '../../core/ports/store.ts';
import { toNumber } from './columns.ts';
import type { Parts } from './fenced.ts';
import { gathered } from './gather.ts';
import { endOf, STORE_NOW } from './lease-columns.ts';
import { GIVEN, prepared } from './prepared.ts';
import type { Session } from './session.ts';
import { STANDING, type StandingRow, toStanding } from './standing-row.ts';
import type { Big, Db } from './tables.ts';

type Wanted = Parameters<Store['takeLease']>[0];

/** Leases, on the database's clock: the workers' own may disagree. A row, once made, stays, so that its fence only grows. */
export function leases({ session }: Parts): Pick<Store, 'takeLease' | 'seizeLease' | 'renewLease' | 'releaseLease'> {
  return {
    takeLease: takeTogether(session),
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

type TakenRow = StandingRow & {
  readonly is_busy: boolean;
  readonly taken_fence: Big | null;
  readonly taken_crashes: number;
  readonly taken_at: number;
};

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
  const { rows } = await sql<TakenRow>`
    select is_busy, taken_fence, taken_crashes, ${STORE_NOW} as taken_at, ${STANDING}
    from perennial.take_lease(${authorizationId}, ${owner}, ${leaseMs}, ${fromAnybody}, true)`.execute(db);
  return toTaken({ authorizationId, row: rows[0] });
}

/** Those that come together take theirs in one statement, with one commit; one whose row is locked just then asks again alone, and waits. */
function takeTogether(session: Session): (wanted: Wanted) => Promise<Taken | null> {
  const { first: ids, second: owners, third: lengths } = GIVEN;
  const statement = prepared(sql<TakenRow>`
    select is_busy, taken_fence, taken_crashes, ${STORE_NOW} as taken_at, ${STANDING}
    from unnest(${ids}::text[], ${owners}::text[], ${lengths}::double precision[]) with ordinality as one(wanted_id, wanted_owner, length_ms, place)
      left join lateral perennial.take_lease(wanted_id, wanted_owner, length_ms, false, false) on true
    order by place`);
  const together = gathered(async (wanted: readonly Wanted[]) => {
    const ids = wanted.map(({ authorizationId }) => authorizationId);
    const owners = wanted.map(({ owner }) => owner);
    const lengths = wanted.map(({ leaseMs }) => leaseMs);
    const rows = await session.query((db) => statement(db, [ids, owners, lengths]));
    return rows.map((row, place) => (row.is_busy ? 'busy' : toTaken({ authorizationId: ids[place] ?? '', row })));
  });
  return async (wanted) => {
    const taken = await together(wanted);
    return taken === 'busy' ? session.query((db) => take({ db, wanted, fromAnybody: false })) : taken;
  };
}

function toTaken({
  authorizationId,
  row,
}: {
  readonly authorizationId: string;
  readonly row: TakenRow | undefined;
}): Taken | null {
  if (row === undefined || row.taken_fence === null) return null;
  const { taken_fence: fence, taken_crashes: crashes, taken_at: takenAt } = row;
  return { authorizationId, fence: toNumber(fence), crashes, takenAt, standing: toStanding(row) };
}
