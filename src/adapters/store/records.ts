import type { CommitResult, Store } from '../../core/ports/store.ts';
import { toBytes, toNumber } from './columns.ts';
import { fencedBeforePurge, type Parts } from './fenced.ts';
import type { Session } from './session.ts';
import type { Db } from './tables.ts';

type Records = Pick<Store, 'manifests' | 'recordsNow' | 'pack' | 'pullJournal' | 'commitRecords' | 'changes'>;

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
    recordsNow: (authorizationId) => recordsNow({ session, authorizationId }),
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
    pullJournal: (authorizationId) =>
      session.query(async (db) => {
        const state = await db
          .selectFrom('pulls')
          .select('sealed')
          .where('authorization_id', '=', authorizationId)
          .executeTakeFirst();
        const pages = await db
          .selectFrom('pull_pages')
          .select('sealed')
          .where('authorization_id', '=', authorizationId)
          .orderBy('seq')
          .execute();
        return {
          state: state === undefined ? null : toBytes(state.sealed),
          pages: pages.map(({ sealed }) => toBytes(sealed)),
        };
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

/** One statement, because that sees one instant. Manifests stay until the purge, so where there is none there was no change either. */
function recordsNow({
  session,
  authorizationId,
}: {
  readonly session: Session;
  readonly authorizationId: string;
}): ReturnType<Store['recordsNow']> {
  return session.query(async (db) => {
    const rows = await db
      .selectFrom('manifests')
      .select(['key', 'sealed'])
      .select(({ selectFrom }) =>
        selectFrom('changes')
          .select(({ fn }) => fn.max('cursor').as('newest'))
          .where('authorization_id', '=', authorizationId)
          .as('cursor'),
      )
      .where('authorization_id', '=', authorizationId)
      .orderBy('key')
      .execute();
    const manifests = rows.map(({ key, sealed }) => ({ key, sealed: toBytes(sealed) }));
    return { manifests, cursor: toNumber(rows[0]?.cursor ?? 0) };
  });
}

function commitRecords({
  session,
  value: { packs, droppedPacks, manifests, changes, journal, ...fence },
}: {
  readonly session: Session;
  readonly value: Parameters<Store['commitRecords']>[0];
}): Promise<CommitResult> {
  const owner = { authorization_id: fence.authorizationId };
  return fencedBeforePurge({ session, fence }, async (tx) => {
    for (const pack of packs)
      await tx
        .insertInto('packs')
        .values({ ...owner, ...pack })
        .execute();
    for (const { key, sealed } of manifests) {
      await tx
        .insertInto('manifests')
        .values({ ...owner, key, sealed })
        .onConflict((conflict) => conflict.columns(['authorization_id', 'key']).doUpdateSet({ sealed }))
        .execute();
    }
    if (droppedPacks.length > 0) {
      await tx
        .deleteFrom('packs')
        .where('authorization_id', '=', fence.authorizationId)
        .where('id', 'in', [...droppedPacks])
        .execute();
    }
    for (const change of changes)
      await tx
        .insertInto('changes')
        .values({ ...owner, ...change })
        .execute();
    await writeJournal({ tx, owner, journal });
    return 'committed';
  });
}

async function writeJournal({
  tx,
  owner,
  journal: { state: sealed, page, ended },
}: {
  readonly tx: Db;
  readonly owner: { readonly authorization_id: string };
  readonly journal: Parameters<Store['commitRecords']>[0]['journal'];
}): Promise<void> {
  await tx
    .insertInto('pulls')
    .values({ ...owner, sealed })
    .onConflict((conflict) => conflict.column('authorization_id').doUpdateSet({ sealed }))
    .execute();
  if (page !== null)
    await tx
      .insertInto('pull_pages')
      .values({ ...owner, sealed: page })
      .execute();
  if (ended) await tx.deleteFrom('pull_pages').where('authorization_id', '=', owner.authorization_id).execute();
}
