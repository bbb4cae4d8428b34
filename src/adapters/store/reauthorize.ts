import type { Instant } from '../../core/clock.ts';
import { LIMITS } from '../../core/limits.ts';
import type { CommitResult, Store } from '../../core/ports/store.ts';
import { toTexts } from './columns.ts';
import { appendEvent } from './events.ts';
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
  parts: { session, now },
  value: { expectedVersion, tokens: next, patch, fingerprint, actor, ...fence },
}: {
  readonly parts: Parts & { readonly now: (() => Instant) | undefined };
  readonly value: Parameters<Store['reauthorize']>[0];
}): Promise<CommitResult> {
  const { authorizationId } = fence;
  return fencedBeforePurge({ session, fence }, async (tx, standing) => {
    if (!(await replaceTokens({ tx, authorizationId, expectedVersion, next }))) return 'superseded';
    const { current, earlier } = await fingerprintsOf({ db: tx, authorizationId });
    const kept = [...earlier, ...(current === null ? [] : [current])].slice(-LIMITS.earlierFingerprintsMax);
    await tx
      .updateTable('authorizations')
      .set({ fingerprint, earlier_fingerprints: JSON.stringify(kept) })
      .where('id', '=', authorizationId)
      .execute();
    await applyPatch({ tx, authorizationId, standing, patch, actor, now });
    // A living one that stays active makes no move, and its warnings still have to end.
    if (standing.state !== 'active' || patch.state !== 'active') return 'committed';
    const at = patch.acceptedAt ?? 0;
    const { source } = standing;
    await appendEvent({ tx, event: { at, kind: 'repaired', authorizationId, source, reason: 'reauthorized' } });
    return 'committed';
  });
}
