import type { Authorization } from '../core/authorization.ts';
import { PerennialError } from '../core/errors.ts';
import { moveTo } from '../core/ports/store.ts';
import type { Context } from './context.ts';
import { withLease } from './lease.ts';
import { enqueueJobs } from './schedule.ts';

/**
 * Ends an authorization because somebody asked for it. The deadline is now and durable when this resolves, so reads refuse at once;
 * the purge itself follows as a job, or by the sweep where the queue is away.
 */
export async function requestPurge({
  context,
  authorization,
  actor,
}: {
  readonly context: Context;
  readonly authorization: Authorization;
  readonly actor: string;
}): Promise<Authorization> {
  const { store, clock } = context;
  if (authorization.state === 'purged' || authorization.state === 'purging') return authorization;
  const { id: authorizationId } = authorization;
  const signal = new AbortController().signal;
  const patch = {
    ...moveTo('purging', 'requested'),
    purgeDueAt: clock.now(),
    purgeReason: 'requested',
    nextRunAt: null,
    nextWarningAt: null,
    trouble: null,
  } as const;
  const outcome = await withLease({ context, authorizationId, signal, seize: true }, ({ fence }) =>
    store.update({ ...fence, patch, actor }),
  );
  if (outcome.kind === 'taken' || outcome.value === 'superseded') throw new PerennialError('superseded');
  const ended = { ...authorization, ...patch };
  await enqueueJobs({ context, authorization: ended, reason: 'accepted' });
  return ended;
}
