import type { State } from '../../core/authorization.ts';
import type { Store } from '../../core/ports/store.ts';
import { toAuthorization, toRow } from './authorization-row.ts';
import { member, STATE_SET, toNumber } from './columns.ts';
import { applyPatch, fenced, type Parts } from './fenced.ts';
import { fingerprintsOf, reauthorize } from './reauthorize.ts';
import type { Session } from './session.ts';
import { toTokenColumns } from './token-row.ts';

type Authorizations = Pick<
  Store,
  'insert' | 'get' | 'fingerprintsOf' | 'reauthorize' | 'list' | 'countByState' | 'update'
>;

/** The authorizations' own rows. */
export function authorizations({ session, now }: Parts): Authorizations {
  return {
    insert: (value) => insert({ session, value }),
    get: (authorizationId) =>
      session.query(async (db) => {
        const row = await db
          .selectFrom('authorizations')
          .selectAll()
          .where('id', '=', authorizationId)
          .executeTakeFirst();
        return row === undefined ? null : toAuthorization(row);
      }),
    fingerprintsOf: (authorizationId) => session.query((db) => fingerprintsOf({ db, authorizationId })),
    reauthorize: (value) => reauthorize({ parts: { session, now }, value }),
    list: ({ after, limit, state }) =>
      session.query(async (db) => {
        let query = db.selectFrom('authorizations').selectAll().orderBy('id').limit(limit);
        if (after !== null) query = query.where('id', '>', after);
        if (state !== undefined) query = query.where('state', '=', state);
        return (await query.execute()).map(toAuthorization);
      }),
    countByState: () => countByState(session),
    update: ({ patch, actor, ...fence }) =>
      fenced({ session, fence }, async (tx, standing) => {
        if (standing.state === 'purged' && patch.state === undefined) return 'superseded';
        await applyPatch({ tx, authorizationId: fence.authorizationId, standing, patch, actor, now });
        return 'committed';
      }),
  };
}

function insert({
  session,
  value: { authorization, fingerprint, tokens, actor },
}: {
  readonly session: Session;
  readonly value: Parameters<Store['insert']>[0];
}): Promise<'inserted' | 'exists'> {
  return session.transaction(async (tx) => {
    const row = await tx
      .insertInto('authorizations')
      .values(toRow(authorization, fingerprint))
      .onConflict((conflict) => conflict.column('id').doNothing())
      .returning('id')
      .executeTakeFirst();
    if (row === undefined) return 'exists';
    const { id, acceptedAt } = authorization;
    await tx
      .insertInto('tokens')
      .values({ authorization_id: id, ...toTokenColumns(tokens) })
      .execute();
    const entry = {
      at: acceptedAt,
      authorization_id: id,
      actor,
      action: 'accepted',
      reason: authorization.stateReason,
    };
    await tx.insertInto('audit').values(entry).execute();
    return 'inserted';
  });
}

async function countByState(session: Session): Promise<Readonly<Record<State, number>>> {
  const counts: Record<State, number> = {
    pending: 0,
    active: 0,
    needs_reauthorization: 0,
    suspended: 0,
    quarantined: 0,
    purging: 0,
    purged: 0,
  };
  const rows = await session.query((db) =>
    db
      .selectFrom('authorizations')
      .select(['state', (eb) => eb.fn.countAll().as('count')])
      .groupBy('state')
      .execute(),
  );
  for (const { state, count } of rows) counts[member(STATE_SET, state)] = toNumber(count);
  return counts;
}
