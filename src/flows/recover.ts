import { LIMITS } from '../core/limits.ts';
import type { JobOutcome } from '../core/ports/queue.ts';
import { activate } from './activate.ts';
import { notGiven } from './conclude.ts';
import type { Context } from './context.ts';
import { withLease } from './lease.ts';
import { ensureAccessToken } from './refresh.ts';
import { takeUp } from './take-up.ts';

/**
 * Finishes what a crash left open: a token that was about to be spent, or was spent without anybody knowing. It is offered again at once, because
 * the grace windows in the field are 30 s, shorter than BullMQ's own recovery of a stalled job (36 to 60 s, promises, finding 1).
 */
export async function recover({
  context,
  authorizationId,
  signal,
}: {
  readonly context: Context;
  readonly authorizationId: string;
  readonly signal: AbortSignal;
}): Promise<JobOutcome> {
  const intent = await context.store.intent(authorizationId);
  if (intent === null) return { kind: 'done', reason: 'closed_meanwhile' };
  const authorization = await context.store.get(authorizationId);
  if (authorization?.state === 'needs_reauthorization') return tidy({ context, authorizationId, signal });
  if (intent.kind === 'exchange') return activate({ context, authorizationId, signal, recovers: !intent.parked });
  return takeUp({ context, authorizationId, signal, wanted: 'active', part: 'tokens_only' }, async (work) => {
    const access = await ensureAccessToken({ ...work, neededUntil: context.clock.now(), rejected: false });
    return access.kind === 'token' ? { kind: 'done', reason: 'recovered' } : notGiven({ work, access });
  });
}

/** The crash came between the verdict that the token is dead and its tidying: nothing is left to be offered, and no sweep should find it again. */
async function tidy({
  context,
  authorizationId,
  signal,
}: {
  readonly context: Context;
  readonly authorizationId: string;
  readonly signal: AbortSignal;
}): Promise<JobOutcome> {
  const outcome = await withLease({ context, authorizationId, signal }, ({ fence }) =>
    context.store.closeIntent(fence),
  );
  if (outcome.kind === 'taken') return { kind: 'again', afterWallMs: LIMITS.leaseTakenRetryMs, reason: 'lease_taken' };
  return { kind: 'done', reason: 'ended_meanwhile' };
}
