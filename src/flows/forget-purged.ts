import { LIMITS } from '../core/limits.ts';
import type { Context } from './context.ts';

type Forgetting = {
  readonly context: Pick<Context, 'queue' | 'clock' | 'log' | 'stopping'>;
  readonly authorizationId: string;
};

/**
 * Sweeps the queues once more for an authorization whose job came after its receipt, as out of a Redis that was restored from an older copy: its receipt says that
 * nothing names it there. It begins when that job has had time to end, since a held one stays, and never rejects. A stop leaves it to whoever meets a job of it next.
 */
export async function forgetPurged({ context, authorizationId }: Forgetting): Promise<void> {
  const { clock, stopping, log } = context;
  for (let tries = 1; tries <= LIMITS.forgetTriesMax; tries += 1) {
    await clock.sleep(LIMITS.forgetEveryMs, stopping);
    if (stopping.aborted) return;
    if (await isForgotten({ context, authorizationId })) {
      log.warn('named_after_purge', { authorizationId, outcome: 'swept' });
      return;
    }
  }
  log.error('named_after_purge', { authorizationId, outcome: 'given_up' });
}

async function isForgotten({ context: { queue }, authorizationId }: Forgetting): Promise<boolean> {
  try {
    await queue.sweep(authorizationId);
    return (await queue.traces(authorizationId)) === 0;
  } catch {
    return false;
  }
}
