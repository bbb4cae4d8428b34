import { PerennialError } from '../../core/errors.ts';
import type { CommitResult, SealedTokens, Store } from '../../core/ports/store.ts';
import { toBytes } from './columns.ts';
import { applyPatch, fenced, fencedBeforePurge, isAsKnown, type Parts } from './fenced.ts';
import { release, renew } from './leases.ts';
import type { Db } from './tables.ts';
import { toIntent, toIntentColumns, toTokenColumns, toTokens } from './token-row.ts';

type Tokens = Pick<Store, 'tokens' | 'intent' | 'openIntent' | 'parkIntent' | 'closeIntent' | 'commitTokens'>;

/** Tokens and the intents to spend them. */
export function tokens(parts: Parts): Tokens {
  const { session } = parts;
  return {
    tokens: (authorizationId) =>
      session.query(async (db) => {
        const query = db.selectFrom('tokens').selectAll().where('authorization_id', '=', authorizationId);
        const row = await query.executeTakeFirst();
        return row === undefined ? null : toTokens(row);
      }),
    intent: (authorizationId) =>
      session.query(async (db) => {
        const query = db.selectFrom('intents').selectAll().where('authorization_id', '=', authorizationId);
        const row = await query.executeTakeFirst();
        return row === undefined ? null : toIntent(row);
      }),
    openIntent: (value) => openIntent({ parts, value }),
    parkIntent: ({ attemptId, unsure, unclearSince, ...fence }) =>
      fenced({ session, fence }, async (tx) => {
        await tx
          .updateTable('intents')
          .set({ unsure, parked: true, unclear_since: unclearSince })
          .where('authorization_id', '=', fence.authorizationId)
          .where('attempt_id', '=', attemptId)
          .execute();
        return 'committed';
      }),
    closeIntent: (fence) =>
      fenced({ session, fence }, async (tx) => {
        await tx.deleteFrom('intents').where('authorization_id', '=', fence.authorizationId).execute();
        return 'committed';
      }),
    commitTokens: (value) => commitTokens({ parts, value }),
  };
}

async function openIntent({
  parts: { session, atOnce },
  value,
}: {
  readonly parts: Parts;
  readonly value: Parameters<Store['openIntent']>[0];
}): Promise<CommitResult> {
  const { intent, lease, authorizationId, fence: ours } = value;
  if (intent.authorizationId !== authorizationId) throw new PerennialError('internal', { field: 'intent' });
  if (await atOnce.openIntent(value)) return 'committed';
  const fence = { authorizationId, fence: ours };
  return fencedBeforePurge({ session, fence }, async (tx) => {
    await renew({ db: tx, lease: { ...fence, ...lease } });
    const columns = toIntentColumns(intent);
    await tx
      .insertInto('intents')
      .values({ authorization_id: authorizationId, ...columns })
      .onConflict((conflict) => conflict.column('authorization_id').doUpdateSet(columns))
      .execute();
    return 'committed';
  });
}

/** Compare-and-set on the token version, which closes the open attempt too; false where another version stands there. */
export async function replaceTokens({
  tx,
  authorizationId,
  expectedVersion,
  next,
}: {
  readonly tx: Parameters<typeof applyPatch>[0]['tx'];
  readonly authorizationId: string;
  readonly expectedVersion: number;
  readonly next: Parameters<Store['commitTokens']>[0]['tokens'];
}): Promise<boolean> {
  if (next.version !== expectedVersion + 1) throw new PerennialError('internal', { field: 'token version' });
  const updated = await tx
    .updateTable('tokens')
    .set(toTokenColumns(next))
    .where('authorization_id', '=', authorizationId)
    .where('version', '=', expectedVersion)
    .executeTakeFirst();
  if (updated.numUpdatedRows === 0n) return false;
  await tx.deleteFrom('intents').where('authorization_id', '=', authorizationId).execute();
  return true;
}

async function commitTokens({
  parts,
  value,
}: {
  readonly parts: Parts;
  readonly value: Parameters<Store['commitTokens']>[0];
}): ReturnType<Store['commitTokens']> {
  const { expectedVersion, tokens: next, patch, actor, plan, authorizationId, fence: ours } = value;
  const fence = { authorizationId, fence: ours };
  if (next.version !== expectedVersion + 1) throw new PerennialError('internal', { field: 'token version' });
  if (await parts.atOnce.commitTokens(value)) return plan === undefined ? 'committed' : 'planned';
  return fencedBeforePurge<CommitResult | 'planned'>({ session: parts.session, fence }, async (tx, standing) => {
    if (!(await replaceTokens({ tx, authorizationId, expectedVersion, next })))
      return wasThisOne({ tx, authorizationId, next });
    const holds = plan !== undefined && isAsKnown({ standing, asOf: plan.asOf });
    if (holds) await release({ db: tx, lease: { ...fence, ...plan.release } });
    const whole = holds ? { ...patch, ...plan.patch } : patch;
    await applyPatch({ tx, authorizationId, standing, patch: whole, actor, parts });
    return holds ? 'planned' : 'committed';
  });
}

/** A commit whose answer was lost is offered again: the very same sealed bytes under our fence are ours, written the first time. */
async function wasThisOne({
  tx,
  authorizationId,
  next,
}: {
  readonly tx: Db;
  readonly authorizationId: string;
  readonly next: SealedTokens;
}): Promise<CommitResult> {
  const row = await tx
    .selectFrom('tokens')
    .select('sealed')
    .where('authorization_id', '=', authorizationId)
    .where('version', '=', next.version)
    .executeTakeFirst();
  return row !== undefined && Buffer.compare(toBytes(row.sealed), next.sealed) === 0 ? 'committed' : 'superseded';
}
