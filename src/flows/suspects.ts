/**
 * The one place in a process for an authorization that was with a dead worker. All that a worker had at hand is suspected at its death, and one of them may be
 * the cause: run one at a time, the next death leaves one to blame, and the others never come to three.
 */
export type Suspects = {
  /** Takes the place and gives the way to leave it; null while another has it. */
  readonly enter: () => (() => void) | null;
};

/** The place of one process, free. */
export function createSuspects(): Suspects {
  let taken = false;
  return {
    enter: () => {
      if (taken) return null;
      taken = true;
      return () => {
        taken = false;
      };
    },
  };
}
