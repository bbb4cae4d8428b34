import { LIMITS } from '../core/limits.ts';
import type { QueueCensus } from '../core/ports/census.ts';
import { REPAIR_REASONS, type Repair } from '../core/reconcile.ts';
import type { Context } from './context.ts';

type Repairing = { readonly context: Context; readonly census: QueueCensus };

/**
 * Does the steps, some of them at once, and says how many changed something: each of those is one log line and one count of drift. @throws PerennialError
 * `queue_unreachable` when the queue is away; what was not done then is found again.
 */
export async function repairAll({
  context,
  census,
  signal,
  repairs,
}: Repairing & { readonly signal: AbortSignal; readonly repairs: readonly Repair[] }): Promise<number> {
  const left = [...repairs];
  let repaired = 0;
  const hand = async (): Promise<void> => {
    for (let repair = left.shift(); repair !== undefined && !signal.aborted; repair = left.shift()) {
      if (!(await repairOne({ context, census, repair }))) continue;
      repaired += 1;
      tell({ context, repair });
    }
  };
  await Promise.all(Array.from({ length: Math.min(LIMITS.reconcileHands, repairs.length) }, hand));
  return repaired;
}

async function repairOne({
  context: { queue, clock },
  census,
  repair,
}: Repairing & { readonly repair: Repair }): Promise<boolean> {
  const { authorizationId } = repair;
  switch (repair.kind) {
    case 'restore':
      await census.restore({
        authorizationId,
        periodMs: repair.periodMs,
        phase: repair.phase,
        instead: repair.reason === 'no_scheduler' ? 'nothing' : 'something',
      });
      return true;
    case 'forget':
      return (await queue.sweep(authorizationId)).jobs > 0;
    case 'unschedule':
      await queue.unschedule(authorizationId);
      return true;
    case 'add': {
      const delayMs = Math.max(0, clock.fromWall(repair.at) - clock.now());
      const reason = repair.queue === 'purge' ? 'due' : 'repaired';
      await queue.add({ queue: repair.queue, authorizationId, reason, delayMs });
      return true;
    }
    case 'drop':
      return census.drop({ authorizationId, queue: repair.queue, jobId: repair.jobId });
  }
}

function tell({
  context: { log, metrics },
  repair: { authorizationId, kind, reason },
}: Pick<Repairing, 'context'> & { readonly repair: Repair }) {
  metrics.drift({ what: REPAIR_REASONS[reason], reason });
  log.warn('repaired', { authorizationId, job: kind, reason });
}
