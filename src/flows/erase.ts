import type { Authorization, UpstreamEnd } from '../core/authorization.ts';
import { type AuthorizationPatch, type Fence, moveTo, type Receipt } from '../core/ports/store.ts';
import { type Context, WORKER_ACTOR } from './context.ts';
import { asksUpstream, endUpstream } from './upstream-end.ts';

/** What an erasure came to; its counts are those of all tries. */
export type Erased = { readonly upstream: UpstreamEnd; readonly deleted: Receipt['deleted'] };

/**
 * Erases under the lease, in this order: the state, from which on nothing is written any more; the end at the source, whose outcome is written down while
 * the key that opens the tokens is still there; the key; the rows. Done again it finds nothing to do.
 */
export async function erase({
  context,
  fence,
  authorization,
}: {
  readonly context: Context;
  readonly fence: Fence;
  readonly authorization: Authorization;
}): Promise<Erased | 'superseded'> {
  const { store, vault } = context;
  const upstream = await begin({ context, fence, authorization });
  if (upstream === 'superseded') return upstream;
  await vault.destroy(fence.authorizationId);
  const deleted = await store.deleteRows(fence);
  return deleted === 'superseded' ? deleted : { upstream, deleted };
}

/** All that comes before the destruction; a try that finds it written does none of it again. */
async function begin({
  context,
  fence,
  authorization,
}: {
  readonly context: Context;
  readonly fence: Fence;
  readonly authorization: Authorization;
}): Promise<UpstreamEnd | 'superseded'> {
  const { state, upstreamEnd: written } = authorization;
  if (state === 'purging' && written !== null) return written;
  const reason = authorization.purgeReason ?? 'retention';
  const write = (patch: AuthorizationPatch) => context.store.update({ ...fence, patch, actor: WORKER_ACTOR });
  const known = written ?? (asksUpstream({ context, authorization }) ? null : 'not_asked');
  const ending = {
    ...moveTo('purging', reason),
    nextRunAt: null,
    nextWarningAt: null,
    trouble: null,
    upstreamEnd: known,
  };
  if ((await write(ending)) === 'superseded') return 'superseded';
  if (known !== null) return known;
  const upstreamEnd = await endUpstream({ context, authorization });
  return (await write({ upstreamEnd })) === 'superseded' ? 'superseded' : upstreamEnd;
}
