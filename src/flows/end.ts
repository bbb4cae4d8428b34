import type { DeadReason } from '../core/authorization.ts';
import type { CommitResult } from '../core/ports/store.ts';
import { moveTo } from '../core/ports/store.ts';
import { retentionOfDead } from '../core/retention.ts';
import { WORKER_ACTOR } from './context.ts';
import { enqueueJobs } from './schedule.ts';
import type { Work } from './work.ts';

/**
 * The patient has to authorize again: scheduling stops, the reason stays, the data follows the retention rule of the source, whose deadline is written
 * with the end itself.
 */
export async function declareDead({
  work: { context, held, authorization },
  reason,
}: {
  readonly work: Pick<Work, 'context' | 'held' | 'authorization'>;
  readonly reason: DeadReason;
}): Promise<CommitResult> {
  const { store, queue, sources, clock, log } = context;
  const purgeDeadAfterMs = sources.get(authorization.source)?.purgeDeadAfterMs ?? null;
  const retention = retentionOfDead({ authorization, purgeDeadAfterMs, now: clock.now() });
  const written = await store.update({
    ...held.fence,
    patch: {
      ...moveTo('needs_reauthorization', reason),
      nextRunAt: null,
      nextWarningAt: null,
      trouble: null,
      lastError: 'authorization_dead',
      ...retention,
    },
    actor: WORKER_ACTOR,
  });
  if (written === 'superseded') return written;
  await store.closeIntent(held.fence);
  await queue.unschedule(authorization.id);
  const dead = { ...authorization, ...retention, state: 'needs_reauthorization' } as const;
  await enqueueJobs({ context, authorization: dead, reason: 'accepted' });
  log.warn('needs_reauthorization', { authorizationId: authorization.id, reason, network: authorization.network });
  return written;
}
