import type { Authorization, UpstreamEnd } from '../core/authorization.ts';
import { type Fence, moveTo, type Receipt } from '../core/ports/store.ts';
import { type Context, WORKER_ACTOR } from './context.ts';
import { endUpstream } from './upstream-end.ts';

/** What one try of an erasure came to; its counts are those of all tries. */
export type Erased = {
  readonly upstream: UpstreamEnd;
  readonly deleted: Omit<Receipt['deleted'], 'jobs' | 'queueEvents'>;
};

/**
 * Erases under the lease, in this order: the state, from which on nothing is written any more; the end at the source, whose outcome is written down while
 * the key that opens the tokens is still there; the key; the rows. Done again it finds nothing to do.
 */
export async function erase({
  context: { store, vault },
  context,
  fence,
  authorization,
}: {
  readonly context: Context;
  readonly fence: Fence;
  readonly authorization: Authorization;
}): Promise<Erased | 'superseded'> {
  const reason = authorization.purgeReason ?? 'retention';
  const write = (patch: Parameters<Context['store']['update']>[0]['patch']) =>
    store.update({ ...fence, patch, actor: WORKER_ACTOR });
  const ending = { ...moveTo('purging', reason), nextRunAt: null, nextWarningAt: null, trouble: null };
  if ((await write(ending)) === 'superseded') return 'superseded';
  const upstream = authorization.upstreamEnd ?? (await endUpstream({ context, authorization }));
  if (authorization.upstreamEnd === null && (await write({ upstreamEnd: upstream })) === 'superseded')
    return 'superseded';
  await vault.destroy(fence.authorizationId);
  const deleted = await store.deleteRows(fence);
  return deleted === 'superseded' ? deleted : { upstream, deleted };
}
