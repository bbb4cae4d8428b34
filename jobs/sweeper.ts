import { codeOf } from '../src/core/errors.ts';
import { LIMITS } from '../src/core/limits.ts';
import { anchorHeads } from '../src/flows/anchor.ts';
import type { Context } from '../src/flows/context.ts';
import { forgetSilentEndpoints, reclaimAfterPurges } from '../src/flows/reclaim.ts';
import { type Sweep, sweepRuns, URGENT_SWEEPS } from '../src/flows/sweep.ts';

type Looking = { readonly context: Context; readonly signal: AbortSignal };

/**
 * Looks at the store every {@link LIMITS.sweepEveryMs} until the signal aborts. Loops of this process and no queue job, because they are what
 * still works when the queue is lost. A look does not wait for the one before: a token endpoint that hangs for a minute must not keep another patient's
 * open refresh out of its grace window.
 */
export async function runSweeper({
  caughtUp,
  ...looking
}: Looking & {
  /** After downtime what is overdue gets its new plan first: until then nobody looks for overdue runs. */
  readonly caughtUp: Promise<unknown>;
}): Promise<void> {
  const looks = URGENT_SWEEPS.map((look) => lookAgainAndAgain({ look, ...looking }));
  const runs = caughtUp.then(
    () => lookAgainAndAgain({ look: sweepRuns, ...looking }),
    () => undefined,
  );
  await Promise.all([...looks, runs, reclaimAgainAndAgain(looking), anchorAgainAndAgain(looking)]);
}

/** Counts from the start, so that purges which ended while nobody ran are in the first one. */
async function reclaimAgainAndAgain({ context, signal }: Looking): Promise<void> {
  const { clock } = context;
  for (let since = clock.now() - LIMITS.purgeLagOverMs; !signal.aborted; ) {
    await clock.sleep(LIMITS.reclaimEveryMs, signal);
    if (signal.aborted) return;
    await forgetSilentEndpoints(context);
    since = await reclaimAfterPurges({ context, since });
  }
}

async function anchorAgainAndAgain({ context, signal }: Looking): Promise<void> {
  while (!signal.aborted) {
    await anchorOnce(context);
    await context.clock.sleep(LIMITS.anchorEveryMs, signal);
  }
}

/** Notes how far the chains go; a store or key store that is away leaves it to the next time. Also done when a worker stops, after its last job. */
export async function anchorOnce(context: Context): Promise<void> {
  try {
    await anchorHeads(context);
  } catch (error) {
    context.log.error('anchor_failed', { code: codeOf(error) });
  }
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
