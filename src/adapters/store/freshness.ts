import { type ExpressionBuilder, type Selectable, sql } from 'kysely';
import { type ChangeProfile, HOURS, remember } from '../../core/change-profile.ts';
import type { Instant } from '../../core/clock.ts';
import { PerennialError } from '../../core/errors.ts';
import { FRESHNESS_LIMITS } from '../../core/freshness-limits.ts';
import { NETWORK_POLICIES } from '../../core/networks.ts';
import type { FreshnessStore, NetworkFreshness } from '../../core/ports/freshness.ts';
import { member, toNumber } from './columns.ts';
import type { Parts } from './fenced.ts';
import { nobodyWorksOnIt } from './sweeps.ts';
import type { Big, Db, Tables } from './tables.ts';

/** When endpoints change, as pulls have seen it, and what their sources have told. */
export function freshness({ session }: Parts): Omit<FreshnessStore, 'oldestFreshAsOf'> {
  return {
    learnChanges: (value) => session.transaction((tx) => learnChanges({ tx, value })),
    changeProfiles: () =>
      session.query(async (db) => {
        const rows = await db.selectFrom('endpoint_profiles').selectAll().execute();
        return rows.map((row) => ({
          network: member(NETWORK_POLICIES, row.network),
          source: row.source,
          endpointId: row.endpoint_id,
          profile: toProfile(row),
        }));
      }),
    forgetProfiles: ({ before }) =>
      session.query(async (db) => {
        const gone = await db.deleteFrom('endpoint_profiles').where('updated_at', '<', before).executeTakeFirst();
        return toNumber(gone.numDeletedRows);
      }),
    freshness: (query) => session.query((db) => agesOf({ db, query })),
    takeHook: (value) => session.transaction((tx) => takeHook({ tx, value })),
    askForPull: ({ authorizationId, at }) =>
      session.query(async (db) => {
        await db
          .updateTable('authorizations')
          .set((eb) => ({ ...toldAt(eb, at), asked_at: eb.fn<number>('greatest', ['asked_at', eb.val(at)]) }))
          .where('id', '=', authorizationId)
          .where('state', '=', 'active')
          .where('usage', '=', 'MULTIPLE')
          .execute();
      }),
    awaitsRun: ({ authorizationId, at }) =>
      session.query(async (db) => {
        const one = await db
          .selectFrom('authorizations')
          .select('id')
          .where(nobodyWorksOnIt)
          .where('id', '=', authorizationId)
          .where('state', '=', 'active')
          .where('next_run_at', '<=', at)
          .executeTakeFirst();
        return one !== undefined;
      }),
  };
}

async function learnChanges({
  tx,
  value: { network, source, endpointId: endpoint_id, tally, at },
}: {
  readonly tx: Db;
  readonly value: Parameters<FreshnessStore['learnChanges']>[0];
}): Promise<ChangeProfile> {
  const nothing = Array.from({ length: HOURS }, () => 0);
  // The row is there to be locked, also for who comes first together with another.
  await tx
    .insertInto('endpoint_profiles')
    .values({ network, source, endpoint_id, changes: nothing, watched_hours: nothing, updated_at: at })
    .onConflict((conflict) => conflict.columns(['network', 'source', 'endpoint_id']).doNothing())
    .execute();
  const row = await tx
    .selectFrom('endpoint_profiles')
    .selectAll()
    .where('network', '=', network)
    .where('source', '=', source)
    .where('endpoint_id', '=', endpoint_id)
    .forUpdate()
    .executeTakeFirstOrThrow();
  const profile = remember({ profile: toProfile(row), tally, at });
  await tx
    .updateTable('endpoint_profiles')
    .set({
      changes: [...profile.changes],
      watched_hours: [...profile.watchedHours],
      updated_at: profile.updatedAt,
    })
    .where('network', '=', network)
    .where('source', '=', source)
    .where('endpoint_id', '=', endpoint_id)
    .execute();
  return profile;
}

/** @throws PerennialError `internal` for a row that is no profile of a day. */
function toProfile(row: Selectable<Tables['endpoint_profiles']>): ChangeProfile {
  const whole = [row.changes, row.watched_hours].every((hours) => hours.length === HOURS);
  if (!whole) throw new PerennialError('internal', { field: 'stored value' });
  return {
    changes: new Float64Array(row.changes),
    watchedHours: new Float64Array(row.watched_hours),
    updatedAt: row.updated_at,
  };
}

type AgesRow = {
  readonly network: string;
  readonly authorizations: Big;
  readonly late: Big;
  readonly ages: readonly number[];
  readonly oldest: number;
};

async function agesOf({
  db,
  query: { now, promises },
}: {
  readonly db: Db;
  readonly query: Parameters<FreshnessStore['freshness']>[0];
}): Promise<readonly NetworkFreshness[]> {
  const [networks, endpoints] = [JSON.stringify(promises.networks), JSON.stringify(promises.endpoints)];
  const { rows } = await sql<AgesRow>`
    select network, count(*) as authorizations, count(*) filter (where age > late_after) as late,
      percentile_disc(array[0.5, 0.9, 0.99]) within group (order by age) as ages, max(age) as oldest
    from (
      select network, greatest(0, ${now}::double precision - coalesce(fresh_as_of, accepted_at)) as age,
        coalesce(cadence ->> 'lateAfterMs', ${endpoints}::jsonb ->> (endpoint ->> 'id'),
          ${networks}::jsonb ->> network)::double precision as late_after
      from perennial.authorizations where state = 'active' and usage = 'MULTIPLE'
    ) as standing group by network order by network`.execute(db);
  return rows.map(({ network, authorizations, late, ages: [p50 = 0, p90 = 0, p99 = 0], oldest: max }) => ({
    network: member(NETWORK_POLICIES, network),
    authorizations: toNumber(authorizations),
    late: toNumber(late),
    ageMs: { p50, p90, p99, max },
  }));
}

async function takeHook({
  tx,
  value: { source, eventId, id, refs, at, tells },
}: {
  readonly tx: Db;
  readonly value: Parameters<FreshnessStore['takeHook']>[0];
}): Promise<readonly string[] | null> {
  const first = await tx
    .insertInto('hooks_seen')
    .values({ source, event_id: eventId })
    .onConflict((conflict) => conflict.columns(['source', 'event_id']).doNothing())
    .returning('event_id')
    .executeTakeFirst();
  if (first === undefined) return null;
  await forgetSome(tx);
  // Two looks, each along its own index; a webhook seldom means more than one.
  const meant = tx
    .selectFrom('authorizations')
    .select('id')
    .where('source', '=', source)
    .where('state', '=', 'active')
    .where('usage', '=', 'MULTIPLE')
    .where((eb) => eb.or([eb('id', '=', id ?? ''), eb('upstream_ref', 'in', ['', ...refs])]))
    .orderBy('id')
    .limit(FRESHNESS_LIMITS.hookMeansMax);
  if (tells === null) return (await meant.execute()).map((row) => row.id);
  const told = await tx
    .updateTable('authorizations')
    .set((eb) => ({ ...toldAt(eb, at), ...(tells === 'doubt' ? { doubted_version: DOUBTED } : {}) }))
    .where('id', 'in', meant)
    .returning('id')
    .execute();
  return told.map((row) => row.id);
}

/** The version that a doubt is about. A request that is on its way may have been granted before it, so the pair that it brings is offered too. */
const DOUBTED = sql<number | null>`(
  select t.version + (select count(*) from perennial.intents as i where i.authorization_id = t.authorization_id and not i.parked)
  from perennial.tokens as t where t.authorization_id = perennial.authorizations.id)::integer`;

/** Neither what was told later nor an earlier plan is moved back. */
function toldAt(eb: ExpressionBuilder<Tables, 'authorizations'>, at: Instant) {
  return {
    told_at: eb.fn<number>('greatest', ['told_at', eb.val(at)]),
    next_run_at: eb.fn<number>('least', ['next_run_at', eb.val(at)]),
  };
}

/** Each delivery takes some old ones with it: what is remembered stays as long as what comes in. */
async function forgetSome(tx: Db): Promise<void> {
  await sql`
    delete from perennial.hooks_seen where (source, event_id) in (
      select source, event_id from perennial.hooks_seen
      where seen_at < clock_timestamp() - ${FRESHNESS_LIMITS.hooksSeenForMs}::double precision * interval '1 millisecond'
      order by seen_at limit ${FRESHNESS_LIMITS.hooksForgottenMax} for update skip locked)`.execute(tx);
}
