import type { Authorization } from '../core/authorization.ts';
import { codeOf } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import type { JobOutcome } from '../core/ports/queue.ts';
import type { Fence } from '../core/ports/store.ts';
import type { Context } from './context.ts';
import { erase } from './erase.ts';
import { forgetPurged } from './forget-purged.ts';
import { withLease } from './lease.ts';
import { proveErased } from './prove-erased.ts';
import { sureNow } from './sure-now.ts';

const comeAgain = (reason: string): JobOutcome => ({ kind: 'again', afterWallMs: LIMITS.leaseTakenRetryMs, reason });

/**
 * Purges an authorization whose deadline has come or whose end was asked for (design, section 9): erases it, looks whether everything is gone, and only
 * then writes the receipt. Every step may be done again, so a crash anywhere is finished by the next try. A job that does this is itself a trace in
 * the queue: `inJob` erases and leaves the proof to the sweep, which comes within a second.
 */
export async function purge({
  context,
  authorizationId,
  signal,
  inJob = false,
}: {
  readonly context: Context;
  readonly authorizationId: string;
  readonly signal: AbortSignal;
  readonly inJob?: boolean;
}): Promise<JobOutcome> {
  try {
    const looked = await look({ context, authorizationId });
    if (looked.kind === 'not_now') {
      if (inJob && looked.isPurged) void forgetPurged({ context, authorizationId });
      return looked.outcome;
    }
    // Another purger's lease is respected; anybody else's is seized, because a purge wins over everything in flight.
    const seize = looked.authorization.state !== 'purging';
    const outcome = await withLease({ context, authorizationId, signal, seize }, ({ fence }) =>
      purgeUnder({ context, fence, inJob }),
    );
    return outcome.kind === 'held' ? outcome.value : comeAgain('lease_taken');
  } catch (error) {
    const code = codeOf(error);
    context.log.error('purge_failed', { authorizationId, code });
    return { kind: 'again', afterWallMs: LIMITS.dependencyRetryWallMs, reason: code };
  }
}

async function purgeUnder({
  context,
  fence,
  inJob,
}: {
  readonly context: Context;
  readonly fence: Fence;
  readonly inJob: boolean;
}): Promise<JobOutcome> {
  // Again, because a new consent may have come between the first look and the lease.
  const looked = await look({ context, authorizationId: fence.authorizationId });
  if (looked.kind === 'not_now') return looked.outcome;
  const { authorization } = looked;
  const erased = await erase({ context, fence, authorization });
  if (erased === 'superseded') return comeAgain('superseded');
  if (inJob) return { kind: 'done', reason: 'erased' };
  const proof = await proveErased({ context, fence, authorization, erased });
  if (proof.kind === 'purged') return { kind: 'done', reason: proof.reason };
  return comeAgain(proof.kind === 'superseded' ? proof.kind : 'not_gone_yet');
}

type Looked =
  | { readonly kind: 'due'; readonly authorization: Authorization }
  | { readonly kind: 'not_now'; readonly outcome: JobOutcome; readonly isPurged: boolean };

/** Whether there is anything to purge now. This worker's clock alone does not decide it: an hour ahead, it would erase what may still be read. */
async function look({
  context,
  authorizationId,
}: {
  readonly context: Context;
  readonly authorizationId: string;
}): Promise<Looked> {
  const { store, clock } = context;
  const done = (reason: string, isPurged = false): Looked => ({
    kind: 'not_now',
    outcome: { kind: 'done', reason },
    isPurged,
  });
  const authorization = await store.get(authorizationId);
  if (authorization === null) return done('unknown_authorization');
  const { state, purgeDueAt } = authorization;
  if (state === 'purged') return done('purged_before', true);
  if (state === 'purging') return { kind: 'due', authorization };
  if (purgeDueAt === null) return done('not_due');
  const ahead = clock.now() < purgeDueAt;
  const dueInMs = purgeDueAt - (ahead ? clock.now() : await sureNow(context));
  if (dueInMs <= 0) return { kind: 'due', authorization };
  const afterWallMs = Math.max(LIMITS.retryMinWallMs, clock.toWallMs(dueInMs));
  return { kind: 'not_now', outcome: { kind: 'again', afterWallMs, reason: 'not_due' }, isPurged: false };
}
