import type { AuthorizationRequest } from '../contract/wire.ts';
import type { Authorization } from '../core/authorization.ts';
import { PerennialError } from '../core/errors.ts';
import type { AuthorizationPatch } from '../core/ports/store.ts';
import type { DataKey } from '../core/ports/vault.ts';
import { decideReauthorization } from '../core/reauthorize.ts';
import type { Context } from './context.ts';
import { draftOf } from './draft.ts';
import { withLease } from './lease.ts';
import { enqueueJobs } from './schedule.ts';
import { sealTokens } from './token-vault.ts';

/**
 * The patient has consented again: new tokens take the place of the dead ones under the caller's same id, records and cursors stay. It wins over a
 * refresh of the old tokens that is under way, whose write loses by its fence.
 * @throws PerennialError `authorization_conflict` naming what differs, where the request is no new consent of the same authorization.
 */
export async function reauthorize({
  context,
  known,
  request,
  key,
  fingerprint,
  actor,
}: {
  readonly context: Context;
  readonly known: Authorization;
  readonly request: AuthorizationRequest;
  readonly key: DataKey;
  readonly fingerprint: string;
  readonly actor: string;
}): Promise<Authorization> {
  const { store, log } = context;
  const { source, network, usage, endpoint, reauthorizes = false } = request;
  const decision = decideReauthorization({
    known,
    request: { source, network, usage, endpointId: endpoint.id, reauthorizes },
  });
  if (decision.kind === 'conflict') throw new PerennialError('authorization_conflict', { field: decision.field });
  const draft = draftOf({ context, request, actor });
  const patch = patchOf(draft.authorization);
  const authorizationId = known.id;
  const signal = new AbortController().signal;
  const outcome = await withLease({ context, authorizationId, signal, seize: true }, async ({ fence, survived }) => {
    const expectedVersion = (await store.tokens(authorizationId))?.version ?? 0;
    const tokens = sealTokens({ key, ...draft.tokens, version: expectedVersion + 1 });
    const written = await store.reauthorize({ ...fence, expectedVersion, tokens, patch, fingerprint, actor });
    // What crashed before was another consent's.
    if (written === 'committed') survived();
    return written;
  });
  if (outcome.kind === 'taken' || outcome.value === 'superseded') throw new PerennialError('superseded');
  const renewed = { ...known, ...patch };
  log.info('reauthorized', { authorizationId, reason: decision.reason, state: renewed.state });
  await enqueueJobs({ context, authorization: renewed, reason: 'accepted' });
  return renewed;
}

/** A new life on the same records: all that the tokens decide begins anew. */
function patchOf(draft: Authorization) {
  return {
    state: draft.state,
    stateReason: 'reauthorized',
    usage: draft.usage,
    usageReason: draft.usageReason,
    endpoint: draft.endpoint,
    acceptedAt: draft.acceptedAt,
    authorizedAt: draft.authorizedAt,
    ends: draft.ends,
    nextWarningAt: draft.nextWarningAt,
    trouble: null,
    periodMs: draft.periodMs,
    nextRunAt: draft.nextRunAt,
    upstreamRef: draft.upstreamRef,
    purgeDueAt: draft.purgeDueAt,
    purgeReason: draft.purgeReason,
    atEnd: draft.atEnd,
    upstreamEnd: null,
    fetchedAt: null,
    failedRuns: 0,
    lastError: null,
  } as const satisfies AuthorizationPatch;
}
