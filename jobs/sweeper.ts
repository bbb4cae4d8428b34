import { codeOf } from '../src/core/errors.ts';
import { LIMITS } from '../src/core/limits.ts';
import type { Context } from '../src/flows/context.ts';
import { sweep } from '../src/flows/sweep.ts';

/**
 * Looks at the store every {@link LIMITS.sweepEveryMs} until the signal aborts. A loop of this process and no queue job, because it is what
 * still works when the queue is lost.
 */
export async function runSweeper({
  context,
  signal,
}: {
  readonly context: Context;
  readonly signal: AbortSignal;
}): Promise<void> {
  while (!signal.aborted) {
    try {
      await sweep({ context, signal });
    } catch (error) {
      context.log.error('sweep_failed', { code: codeOf(error) });
    }
    await context.clock.sleep(LIMITS.sweepEveryMs, signal);
  }
}
