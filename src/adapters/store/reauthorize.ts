import { LIMITS } from '../../core/limits.ts';
import type { CommitResult, Store } from '../../core/ports/store.ts';
import { toTexts } from './columns.ts';
import { applyPatch, fencedBeforePurge, type Parts } from './fenced.ts';
import type { Db } from './tables.ts';
import { replaceTokens } from './tokens.ts';

/** The fingerprints of all requests that were accepted under an id. */
export async function fingerprintsOf({
  db,
  authorizationId,
}: {
  readonly db: Db;
  readonly authorizationId: string;
}): Promise<Awaited<ReturnType<Store['fingerprintsOf']>>> {
  const row = await db
    .selectFrom('authorizations')
    .select(['fingerprint', 'earlier_fingerprints'])
    .where('id', '=', authorizationId)
    .executeTakeFirst();
  return { current: row?.fingerprint ?? null, earlier: toTexts(row?.earlier_fingerprints ?? []) };
}

/** Puts the tokens of a new consent in the place of the old ones: tokens, state, fingerprint, audit entry and event, or nothing. */
export function reauthorize({
  parts,
  value: { expectedVersion, tokens: next, patch, fingerprint, actor, ...fence },
}: {
  readonly parts: Parts;
  readonly value: Parameters<Store['reauthorize']>[0];
}): Promise<CommitResult> {
  const { authorizationId } = fence;
  return fencedBeforePurge({ session: parts.session, fence }, async (tx, standing) => {
    if (!(await replaceTokens({ tx, authorizationId, expectedVersion, next }))) return 'superseded';
    const { current, earlier } = await fingerprintsOf({ db: tx, authorizationId });
    const kept = [...earlier, ...(current === null ? [] : [current])].slice(-LIMITS.earlierFingerprintsMax);
    await tx
      .updateTable('authorizations')
      .set({ fingerprint, earlier_fingerprints: JSON.stringify(kept) })
      .where('id', '=', authorizationId)
      .execute();
    // A living one that stays active makes no move, and its warnings still have to end.
    const stays = standing.state === 'active' && patch.state === 'active';
    const repaired = { at: patch.acceptedAt ?? 0, kind: 'repaired', reason: 'reauthorized' } as const;
    await applyPatch({ tx, authorizationId, standing, patch, actor, parts, event: stays ? repaired : null });
    return 'committed';
  });
}
