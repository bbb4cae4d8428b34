import { LIMITS } from '../core/limits.ts';

/**
 * The places in a process for authorizations that were with a dead worker. All that a worker had at hand is suspected at its death, and one of them may be the cause. Some run
 * side by side after a first death; whoever the next one would set aside runs while no other suspect does, so that it leaves the right one to blame.
 */
export type Suspects = {
  /** Takes a place for one of so many deaths, and gives the way to leave it; null while there is none. */
  readonly enter: (crashes: number) => (() => void) | null;
};

/** The places of one process, free. */
export function createSuspects(): Suspects {
  let inside = 0;
  let isOneAlone = false;
  return {
    enter: (crashes) => {
      const runsAlone = crashes + 1 >= LIMITS.crashesMax;
      if (isOneAlone || inside >= (runsAlone ? 1 : LIMITS.suspectsAtOnce)) return null;
      inside += 1;
      isOneAlone = runsAlone;
      return () => {
        inside -= 1;
        isOneAlone = false;
      };
    },
  };
}
