import type { CommitResult, Store } from '../../core/ports/store.ts';
import { toBytes, toNumber } from './columns.ts';
import { fencedBeforePurge, type Parts } from './fenced.ts';
import type { Session } from './session.ts';

type Records = Pick<Store, 'manifests' | 'pack' | 'commitRecords' | 'changes'>;

/** Sealed records, where they lie, and what changed in them. */
export function records({ session }: Parts): Records {
  return {
    manifests: (authorizationId) =>
      session.query(async (db) => {
        const rows = await db
          .selectFrom('manifests')
          .select(['key', 'sealed'])
          .where('authorization_id', '=', authorizationId)
          .orderBy('key')
          .execute();
        return rows.map(({ key, sealed }) => ({ key, sealed: toBytes(sealed) }));
      }),
    pack: ({ authorizationId, id }) =>
      session.query(async (db) => {
        const row = await db
          .selectFrom('packs')
          .select('sealed')
          .where('authorization_id', '=', authorizationId)
          .where('id', '=', id)
          .executeTakeFirst();
        return row === undefined ? null : toBytes(row.sealed);
      }),
    commitRecords: (value) => commitRecords({ session, value }),
    changes: ({ authorizationId, after, limit }) =>
      session.query(async (db) => {
        const rows = await db
          .selectFrom('changes')
          .select(['cursor', 'at', 'sealed'])
          .where('authorization_id', '=', authorizationId)
          .where('cursor', '>', after)
          .orderBy('cursor')
          .limit(limit)
          .execute();
        return rows.map(({ cursor, at, sealed }) => ({ cursor: toNumber(cursor), at, sealed: toBytes(sealed) }));
      }),
  };
}

function commitRecords({
  session,
  value: { packs, manifest, change, ...fence },
}: {
  readonly session: Session;
  readonly value: Parameters<Store['commitRecords']>[0];
}): Promise<CommitResult> {
  const owner = { authorization_id: fence.authorizationId };
  return fencedBeforePurge({ session, fence }, async (tx) => {
    for (const { id, sealed } of packs) {
      await tx
        .insertInto('packs')
        .values({ ...owner, id, sealed })
        .execute();
    }
    const { key, sealed } = manifest;
    await tx
      .insertInto('manifests')
      .values({ ...owner, key, sealed })
      .onConflict((conflict) => conflict.columns(['authorization_id', 'key']).doUpdateSet({ sealed }))
      .execute();
    if (change !== null) {
      await tx
        .insertInto('changes')
        .values({ ...owner, at: change.at, sealed: change.sealed })
        .execute();
    }
    return 'committed';
  });
}
