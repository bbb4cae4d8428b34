import type { Authorization } from '../core/authorization.ts';
import type { JobOutcome } from '../core/ports/queue.ts';
import { moveTo } from '../core/ports/store.ts';
import { type Context, WORKER_ACTOR } from './context.ts';
import type { Held } from './lease.ts';

/**
 * Sets aside an authorization that was with several dead workers in a row: BullMQ's own count does not hold for repeating jobs (peers, F-12), so one patient
 * whose records kill a worker would kill them all, for ever. Nothing is run until an operator releases it; a purge comes in time all the same.
 */
export async function quarantine({
  context: { store, queue, log, metrics },
  held,
  authorization: { id: authorizationId, network },
}: {
  readonly context: Context;
  readonly held: Held;
  readonly authorization: Authorization;
}): Promise<JobOutcome> {
  const patch = { ...moveTo('quarantined', 'crashes_its_worker'), nextRunAt: null, nextPullAt: null } as const;
  const written = await store.update({ ...held.fence, patch, actor: WORKER_ACTOR });
  if (written === 'superseded') return { kind: 'done', reason: written };
  await queue.unschedule(authorizationId);
  metrics.quarantined({ network });
  log.error('quarantined', { authorizationId, network, count: held.crashes, reason: 'crashes_its_worker' });
  return { kind: 'done', reason: 'quarantined' };
}
