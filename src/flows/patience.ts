import { LIMITS } from '../core/limits.ts';
import type { Context } from './context.ts';

/** How long a granted pair is held while it cannot be stored. */
export type Patience = {
  /** Asked after each try; `away` where the store does not answer, which ends by itself, or a rival holds the lease. */
  readonly goesOn: (why: { readonly away: boolean }) => boolean;
};

/** Counts tries of {@link LIMITS.commitRetryEveryMs} each: a clock may be set while it waits, and an hour's jump would have given up a patient's only pair. */
export function createPatience({ stopping }: Pick<Context, 'stopping'>): Patience {
  let [tries, triesSinceStop] = [0, 0];
  const limited = LIMITS.commitRetryForMs / LIMITS.commitRetryEveryMs;
  return {
    goesOn: ({ away }) => {
      tries += 1;
      if (stopping.aborted) triesSinceStop += 1;
      return (
        triesSinceStop <= limited && tries <= (away ? LIMITS.commitHoldMaxMs / LIMITS.commitRetryEveryMs : limited)
      );
    },
  };
}
