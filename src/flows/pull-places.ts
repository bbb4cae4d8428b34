/**
 * The places of one process for pulls. A run that only keeps a token alive holds a few kilobytes, one that pulls some megabytes: so a worker may have many runs
 * under way at once, and yet not more pulls than its memory takes.
 */
export type PullPlaces = {
  /** Pulls once there is a place, in the order of asking. Where `signal` has aborted it does not wait: such a pull ends by itself. */
  readonly within: <T>(signal: AbortSignal, pull: () => Promise<T>) => Promise<T>;
};

/** The places of one process, all free. */
export function createPullPlaces({ count }: { readonly count: number }): PullPlaces {
  let free = count;
  const waiting = new Set<() => void>();
  const leave = (): void => {
    const [next] = waiting;
    if (next === undefined) free += 1;
    else next();
  };
  /** False where there was no place and none is needed any more. */
  const enter = async (signal: AbortSignal): Promise<boolean> => {
    if (signal.aborted) return false;
    if (free > 0) {
      free -= 1;
      return true;
    }
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const take = () => resolve(waiting.delete(take));
    const giveUp = () => {
      if (waiting.delete(take)) resolve(false);
    };
    waiting.add(take);
    signal.addEventListener('abort', giveUp, { once: true });
    return promise.finally(() => signal.removeEventListener('abort', giveUp));
  };
  return {
    within: async (signal, pull) => {
      const hasPlace = await enter(signal);
      try {
        return await pull();
      } finally {
        if (hasPlace) leave();
      }
    },
  };
}
