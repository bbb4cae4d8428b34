import type { Clock } from '../../core/ports/clock.ts';
import type { QueueName } from '../../core/ports/queue.ts';
import type { Log } from '../../core/ports/telemetry.ts';

/** A connection that is lost fails anew with each try, for every queue and worker of every shard: one line a queue in this time says it all. */
const EVERY_WALL_MS = 5_000;

/** Warns that a queue cannot be reached, seldom enough to be read. */
export function tellerOf({
  log,
  clock,
  event,
}: {
  readonly log: Log;
  readonly clock: Clock;
  readonly event: 'queue_error' | 'worker_error';
}): (queue: QueueName) => void {
  const toldAt = new Map<QueueName, number>();
  return (queue) => {
    const now = clock.wallNow();
    if (Math.abs(now - (toldAt.get(queue) ?? 0)) < EVERY_WALL_MS) return;
    toldAt.set(queue, now);
    log.warn(event, { queue, code: 'queue_unreachable' });
  };
}
