import type { State } from '../../core/authorization.ts';
import type { AsOf, CommitResult, Store } from '../../core/ports/store.ts';
import { toAuthorization, toRow } from './authorization-row.ts';
import { member, STATE_SET, toNumber } from './columns.ts';
import { applyPatch, fenced, isAsKnown, type Parts } from './fenced.ts';
import { release } from './leases.ts';
import { appendLinked } from './links.ts';
import { fingerprintsOf, reauthorize } from './reauthorize.ts';
import type { Session } from './session.ts';
import { toTokenColumns } from './token-row.ts';

type Authorizations = Pick<
  Store,
  'insert' | 'get' | 'fingerprintsOf' | 'reauthorize' | 'list' | 'countByState' | 'update' | 'updateAsOf'
>;

/** The authorizations' own rows. */
export function authorizations(parts: Parts): Authorizations {
  const { session } = parts;
  return {
    insert: (value) => insert({ parts, value }),
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
    reauthorize: (value) => reauthorize({ parts, value }),
    list: ({ after, limit, state }) =>
      session.query(async (db) => {
        let query = db.selectFrom('authorizations').selectAll().orderBy('id').limit(limit);
        if (after !== null) query = query.where('id', '>', after);
        if (state !== undefined) query = query.where('state', '=', state);
        return (await query.execute()).map(toAuthorization);
      }),
    countByState: () => countByState(session),
    update: async (value) => {
      const written = await update({ parts, value });
      return written === 'changed' ? 'superseded' : written;
    },
    updateAsOf: (value) => update({ parts, value }),
  };
}

async function update({
  parts,
  value,
}: {
  readonly parts: Parts;
  readonly value: Parameters<Store['update']>[0] & { readonly asOf?: AsOf };
}): Promise<CommitResult | 'changed'> {
  const { session, atOnce } = parts;
  if (await atOnce.update(value)) return 'committed';
  const { patch, actor, release: given, authorizationId, fence: ours, asOf } = value;
  const fence = { authorizationId, fence: ours };
  return fenced<CommitResult | 'changed'>({ session, fence }, async (tx, standing) => {
    if (standing.state === 'purged' && patch.state === undefined) return 'superseded';
    if (asOf !== undefined && !isAsKnown({ standing, asOf })) return 'changed';
    if (given !== undefined) await release({ db: tx, lease: { ...fence, ...given } });
    await applyPatch({ tx, authorizationId, standing, patch, actor, parts });
    return 'committed';
  });
}

function insert({
  parts: { session, notary },
  value: { authorization, fingerprint, keyFingerprint, tokens, actor },
}: {
  readonly parts: Parts;
  readonly value: Parameters<Store['insert']>[0];
}): Promise<'inserted' | 'exists'> {
  return session.transaction(async (tx) => {
    const row = await tx
      .insertInto('authorizations')
      .values({ ...toRow(authorization, fingerprint), key_fingerprint: keyFingerprint })
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
      authorizationId: id,
      actor,
      action: 'accepted',
      reason: authorization.stateReason,
    };
    await appendLinked({ tx, entry, notary });
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
