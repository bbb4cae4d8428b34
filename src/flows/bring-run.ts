import type { Instant } from '../core/clock.ts';
import { LIMITS } from '../core/limits.ts';
import type { Context } from './context.ts';

/** The waits before each look. */
const LOOKS = [0, ...LIMITS.runEndWaitsMs];

/**
 * Has an authorization run at once for what the store holds already, planned for `at`. A job that runs takes it into its own plan, unless that is written: BullMQ
 * ends such a job in a moment, which is waited for, and the next one is added. @throws PerennialError `queue_unreachable`
 */
export async function bringRun({
  context: { queue, store, clock },
  authorizationId,
  reason,
  at,
}: {
  readonly context: {
    readonly queue: Pick<Context['queue'], 'add'>;
    readonly store: Pick<Context['store'], 'awaitsRun'>;
    readonly clock: Context['clock'];
  };
  readonly authorizationId: string;
  readonly reason: 'asked_for' | 'told' | 'doubted';
  readonly at: Instant;
}): Promise<void> {
  for (const waitMs of LOOKS) {
    await clock.sleep(waitMs);
    if ((await queue.add({ queue: 'refresh-and-pull', authorizationId, reason })) === 'waits') return;
    if (!(await store.awaitsRun({ authorizationId, at }))) return;
  }
}
