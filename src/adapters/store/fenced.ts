import { mayMove, type State } from '../../core/authorization.ts';
import type { Instant } from '../../core/clock.ts';
import { PerennialError } from '../../core/errors.ts';
import type { Event, EventKind } from '../../core/ports/feed.ts';
import type { Notary } from '../../core/ports/notary.ts';
import type { AsOf, AuthorizationPatch, Fence } from '../../core/ports/store.ts';
import type { AtOnce } from './at-once.ts';
import { toColumns } from './authorization-row.ts';
import { member, STATE_SET, toNumber } from './columns.ts';
import { appendEvent } from './events.ts';
import { appendLinked } from './links.ts';
import type { Session } from './session.ts';
import type { Db } from './tables.ts';

/** What the store's parts work with. `now` is the domain's clock, for audit entries that no caller dates; the notary signs them. */
export type Parts = {
  readonly session: Session;
  readonly atOnce: AtOnce;
  readonly now: () => Instant;
  readonly notary: Notary;
};

/** The authorization as it stands behind the fence: nobody else can write it until the transaction ends. */
export type Standing = {
  readonly state: State;
  readonly stateReason: string;
  readonly source: string;
  readonly trouble: string | null;
  readonly periodMs: number | null;
  readonly toldAt: Instant | null;
};

/**
 * Runs `work` in a transaction that holds the lease row, and only if the fence is still the newest one. An expired lease that nobody took
 * again still has its fence, so its holder may commit.
 */
export function fenced<T>(
  { session, fence }: { readonly session: Session; readonly fence: Fence },
  work: (tx: Db, standing: Standing) => Promise<T | 'superseded'>,
): Promise<T | 'superseded'> {
  const { authorizationId } = fence;
  return session.transaction(async (tx) => {
    const lease = await tx
      .selectFrom('leases')
      .select('fence')
      .where('authorization_id', '=', authorizationId)
      .forUpdate()
      .executeTakeFirst();
    if (lease === undefined || toNumber(lease.fence) !== fence.fence) return 'superseded';
    // A statement of its own: joined to the locked row it could show the state from before the wait for the lock.
    const row = await tx
      .selectFrom('authorizations')
      .select(['state', 'state_reason', 'source', 'trouble', 'period_ms', 'told_at'])
      .where('id', '=', authorizationId)
      // Webhooks and catch-ups write it without a lease.
      .forNoKeyUpdate()
      .executeTakeFirst();
    if (row === undefined) return 'superseded';
    const { state_reason: stateReason, source, trouble, period_ms: periodMs, told_at: toldAt } = row;
    return work(tx, { state: member(STATE_SET, row.state), stateReason, source, trouble, periodMs, toldAt });
  });
}

/** Whether a plan that was made as of `asOf` still holds. */
export function isAsKnown({ standing, asOf }: { readonly standing: Standing; readonly asOf: AsOf }): boolean {
  return asOf.periodMs === standing.periodMs && asOf.toldAt === standing.toldAt;
}

/** As {@link fenced}, and never once a purge was begun: what it deletes must not come back. */
export function fencedBeforePurge<T>(
  holding: Parameters<typeof fenced>[0],
  work: (tx: Db, standing: Standing) => Promise<T | 'superseded'>,
): Promise<T | 'superseded'> {
  return fenced<T>(holding, async (tx, standing) => (isEnding(standing.state) ? 'superseded' : work(tx, standing)));
}

function isEnding(state: State): boolean {
  return state === 'purging' || state === 'purged';
}

/**
 * Writes a patch, its event if it has one, `event` if there is one more, and the audit entry of the move in it. The last of a transaction: see
 * {@link appendLinked}. @throws PerennialError `internal` for a move the state machine does not have.
 */
export async function applyPatch({
  tx,
  authorizationId,
  standing,
  patch,
  actor,
  parts: { now, notary },
  event = null,
}: {
  readonly tx: Db;
  readonly authorizationId: string;
  readonly standing: Standing;
  readonly patch: AuthorizationPatch;
  readonly actor: string;
  readonly parts: Pick<Parts, 'now' | 'notary'>;
  readonly event?: Pick<Event, 'at' | 'kind' | 'reason'> | null;
}): Promise<void> {
  const { state: from } = standing;
  const to = patch.state ?? from;
  if (to !== from && !mayMove({ from, to })) throw new PerennialError('internal', { field: `state ${from} to ${to}` });
  const columns = toColumns(patch);
  if (Object.keys(columns).length === 0) return;
  await tx.updateTable('authorizations').set(columns).where('id', '=', authorizationId).execute();
  const reason = patch.stateReason ?? standing.stateReason;
  const at = now();
  const kind = eventOf({ standing, patch, to });
  const own = kind === null ? null : { at, kind, reason };
  for (const one of [own, event]) {
    if (one !== null) await appendEvent({ tx, event: { ...one, authorizationId, source: standing.source } });
  }
  if (to === from && reason === standing.stateReason) return;
  await appendLinked({ tx, entry: { at, authorizationId, actor, action: `state:${to}`, reason }, notary });
}

/** The event that a patch means for whoever follows the feed; at most one. */
function eventOf({
  standing,
  patch,
  to,
}: {
  readonly standing: Standing;
  readonly patch: AuthorizationPatch;
  readonly to: State;
}): EventKind | null {
  if (to === 'needs_reauthorization' && standing.state !== to) return 'needs_reauthorization';
  if (to === 'quarantined' && standing.state !== to) return 'quarantined';
  if (patch.stateReason === 'released_by_operator' && standing.state !== to) return 'released';
  const back = patch.stateReason === 'reauthorized' || patch.stateReason === 'late_reply';
  if (to === 'active' && standing.state !== to && back) return 'repaired';
  if (patch.trouble === undefined) return null;
  if (patch.trouble?.kind === 'unsure') return standing.trouble === 'unsure' ? null : 'refresh_unsure';
  return standing.trouble === 'unsure' && to === 'active' ? 'refresh_sure_again' : null;
}
