import { codeOf } from '../src/core/errors.ts';
import { LIMITS } from '../src/core/limits.ts';
import type { Context } from '../src/flows/context.ts';
import { SWEEPS, type Sweep } from '../src/flows/sweep.ts';

type Looking = { readonly context: Context; readonly signal: AbortSignal };

/**
 * Looks at the store every {@link LIMITS.sweepEveryMs} until the signal aborts. Loops of this process and no queue job, because they are what
 * still works when the queue is lost.
 */
export async function runSweeper(looking: Looking): Promise<void> {
  await Promise.all(SWEEPS.map((look) => lookAgainAndAgain({ look, ...looking })));
}

async function lookAgainAndAgain({ look, context, signal }: Looking & { readonly look: Sweep }): Promise<void> {
  while (!signal.aborted) {
    try {
      await look({ context, signal });
    } catch (error) {
      context.log.error('sweep_failed', { code: codeOf(error) });
    }
    await context.clock.sleep(LIMITS.sweepEveryMs, signal);
  }
}
