import { type Authorization, endsAfterFetch } from '../core/authorization.ts';
import { codeOf } from '../core/errors.ts';
import type { Fence } from '../core/ports/store.ts';
import { type Context, WORKER_ACTOR } from './context.ts';

/**
 * Gives an active authorization its jobs: MULTIPLE one repeating job and a first run at once; ONE_TIME one fetch job now and one
 * purge job at access-token expiry. The plan is in the store first; a queue that is away is repaired from there by the sweep.
 */
export async function schedule({
  context,
  fence,
  authorization,
}: {
  readonly context: Context;
  readonly fence: Fence;
  readonly authorization: Authorization;
}): Promise<void> {
  const { store, clock } = context;
  await store.update({ ...fence, patch: { nextRunAt: clock.now() }, actor: WORKER_ACTOR });
  await enqueueJobs({ context, authorization, reason: 'accepted' });
}

/** The queue's half of {@link schedule}, for repairs too: idempotent, and a queue that is away is not the caller's fault. */
export async function enqueueJobs({
  context: { queue, clock, log },
  authorization,
  reason,
}: {
  readonly context: Context;
  readonly authorization: Authorization;
  readonly reason: 'accepted' | 'repaired' | 'asked_for';
}): Promise<void> {
  const { id: authorizationId, state, usage, periodMs, phase, purgeDueAt, fetchedAt } = authorization;
  const ending = state === 'active' || state === 'pending' || state === 'needs_reauthorization';
  try {
    if (state === 'pending') await queue.add({ queue: 'activate', authorizationId, reason });
    if (state === 'active' && usage === 'MULTIPLE' && periodMs !== null) {
      await queue.schedule({ authorizationId, periodMs, phase });
      await queue.add({ queue: 'refresh-and-pull', authorizationId, reason });
    }
    if (state === 'active' && usage === 'ONE_TIME' && (fetchedAt === null || endsAfterFetch(authorization))) {
      await queue.add({ queue: 'fetch-once', authorizationId, reason });
    }
    if (state === 'purging' || (ending && purgeDueAt !== null)) {
      const delayMs = Math.max(0, (purgeDueAt ?? 0) - clock.now());
      await queue.add({ queue: 'purge', authorizationId, reason: 'due', delayMs });
    }
  } catch (error) {
    log.warn('not_enqueued', { authorizationId, code: codeOf(error), reason: 'the sweep repairs it' });
  }
}
