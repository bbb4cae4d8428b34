import type { Authorization } from '../core/authorization.ts';
import { codeOf } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import type { JobOutcome } from '../core/ports/queue.ts';
import { moveTo, type Receipt } from '../core/ports/store.ts';
import { type Context, WORKER_ACTOR } from './context.ts';
import { type Held, withLease } from './lease.ts';
import { openTokens } from './token-vault.ts';

/**
 * Erases an authorization whose deadline has come or whose end was asked for (design, section 9): seize the lease, stop its jobs, revoke upstream
 * where asked, destroy the data key, delete the rows, sweep the queue, verify, write the receipt. Every step may be done again, so a
 * crash anywhere is finished by the next try.
 */
export async function purge({
  context,
  authorizationId,
  signal,
}: {
  readonly context: Context;
  readonly authorizationId: string;
  readonly signal: AbortSignal;
}): Promise<JobOutcome> {
  const authorization = await context.store.get(authorizationId);
  if (authorization === null) return { kind: 'done', reason: 'unknown_authorization' };
  if (authorization.state === 'purged') return { kind: 'done', reason: 'purged_before' };
  const dueInMs = (authorization.purgeDueAt ?? Number.POSITIVE_INFINITY) - context.clock.now();
  if (authorization.state !== 'purging' && dueInMs > 0) {
    if (!Number.isFinite(dueInMs)) return { kind: 'done', reason: 'not_due' };
    const afterWallMs = Math.max(LIMITS.retryMinWallMs, context.clock.toWallMs(dueInMs));
    return { kind: 'again', afterWallMs, reason: 'not_due' };
  }
  try {
    // Another purger's lease is respected; anybody else's is seized, because a purge wins over everything in flight.
    const seize = authorization.state !== 'purging';
    const outcome = await withLease({ context, authorizationId, signal, seize }, (held) =>
      erase({ context, held, authorization }),
    );
    if (outcome.kind === 'taken')
      return { kind: 'again', afterWallMs: LIMITS.leaseTakenRetryMs, reason: 'lease_taken' };
    return outcome.value;
  } catch (error) {
    const code = codeOf(error);
    context.log.error('purge_failed', { authorizationId, code });
    return { kind: 'again', afterWallMs: LIMITS.dependencyRetryWallMs, reason: code };
  }
}

async function erase({
  context,
  held,
  authorization,
}: {
  readonly context: Context;
  readonly held: Held;
  readonly authorization: Authorization;
}): Promise<JobOutcome> {
  const { store, vault, queue, clock, log, metrics } = context;
  const { id: authorizationId } = authorization;
  const superseded: JobOutcome = { kind: 'again', afterWallMs: LIMITS.leaseTakenRetryMs, reason: 'superseded' };
  const reason = authorization.purgeReason ?? 'retention';
  const patch = { ...moveTo('purging', reason), nextRunAt: null, nextWarningAt: null, trouble: null };
  if ((await store.update({ ...held.fence, patch, actor: WORKER_ACTOR })) === 'superseded') return superseded;
  await revokeUpstream({ context, authorization });
  await vault.destroy(authorizationId);
  const deleted = await store.deleteRows(held.fence);
  if (deleted === 'superseded') return superseded;
  await queue.remove(authorizationId);
  const verified = await isErased({ context, authorizationId });
  const purgedAt = clock.now();
  const receipt: Receipt = { authorizationId, purgedAt, dueAt: authorization.purgeDueAt, reason, deleted, verified };
  if (!verified) return superseded;
  if ((await store.finishPurge({ ...held.fence, receipt, actor: WORKER_ACTOR })) === 'superseded') return superseded;
  const lagMs = authorization.purgeDueAt === null ? 0 : clock.toWallMs(purgedAt - authorization.purgeDueAt);
  metrics.purge({ reason, lagMs: Math.max(0, lagMs) });
  log.info('purged', { authorizationId, reason, durationMs: Math.max(0, lagMs) });
  return { kind: 'done', reason };
}

/** A purge is only as true as a look at what is left: no key, no token, no record. */
async function isErased({
  context: { store, vault },
  authorizationId,
}: {
  readonly context: Context;
  readonly authorizationId: string;
}): Promise<boolean> {
  const left = [
    await vault.has(authorizationId),
    (await store.tokens(authorizationId)) !== null,
    (await store.manifests(authorizationId)).length > 0,
    (await store.changes({ authorizationId, after: 0, limit: 1 })).length > 0,
  ];
  return !left.includes(true);
}

/** Best effort, bounded by the source's own deadline: an upstream that is away must not keep the data alive here. */
async function revokeUpstream({
  context,
  authorization,
}: {
  readonly context: Context;
  readonly authorization: Authorization;
}): Promise<void> {
  const { store, vault, sources, log } = context;
  const authorizationId = authorization.id;
  const source = sources.get(authorization.source);
  if (authorization.purgeReason !== 'requested' || source === undefined || !source.revokeOnPurge) return;
  try {
    const row = await store.tokens(authorizationId);
    if (row === null) return;
    const { accessToken, refreshToken } = openTokens({ key: await vault.open(authorizationId), row });
    if (accessToken === null && refreshToken === null) return;
    const signal = AbortSignal.timeout(LIMITS.tokenRequestTimeoutMs);
    const reason = await source.revoke({ accessToken, refreshToken, signal });
    log.info('revoked_upstream', { authorizationId, reason });
  } catch (error) {
    log.warn('not_revoked_upstream', { authorizationId, code: codeOf(error) });
  }
}
