import { codeOf } from '../src/core/errors.ts';
import { LIMITS } from '../src/core/limits.ts';
import type { Context } from '../src/flows/context.ts';
import { SWEEPS, type Sweep } from '../src/flows/sweep.ts';

type Looking = { readonly context: Context; readonly signal: AbortSignal };

/**
 * Looks at the store every {@link LIMITS.sweepEveryMs} until the signal aborts. Loops of this process and no queue job, because they are what
 * still works when the queue is lost. A look does not wait for the one before: a token endpoint that hangs for a minute must not keep another patient's
 * open refresh out of its grace window.
 */
export async function runSweeper(looking: Looking): Promise<void> {
  await Promise.all(SWEEPS.map((look) => lookAgainAndAgain({ look, ...looking })));
}

async function lookAgainAndAgain({ look, context, signal }: Looking & { readonly look: Sweep }): Promise<void> {
  const underWay = new Set<string>();
  const looks = new Set<Promise<void>>();
  const lookOnce = async (): Promise<void> => {
    try {
      await look({ context, signal, underWay });
    } catch (error) {
      context.log.error('sweep_failed', { code: codeOf(error) });
    }
  };
  while (!signal.aborted) {
    if (looks.size < LIMITS.sweepLooksMax) {
      const one = lookOnce().finally(() => looks.delete(one));
      looks.add(one);
    }
    await context.clock.sleep(LIMITS.sweepEveryMs, signal);
  }
  await Promise.all(looks);
}
