import type { StoreChange } from './losses-stage.ts';

/** What a worker asks its store for, counted, and refused where a control wants that. */
export type Counted = {
  readonly change: StoreChange;
  readonly count: () => number;
  /** Counts from here. */
  readonly reset: () => void;
};

/** Counts how often a worker asks for the reconciler's duty, which is once a second and page. */
export function askingForReconciler({ refused }: { readonly refused: boolean }): Counted {
  return counted((again) => ({ takeDuty }) => ({
    takeDuty: async (duty) => {
      if (duty.name !== 'reconcile') return takeDuty(duty);
      again();
      return !refused && (await takeDuty(duty));
    },
  }));
}

/** Counts how often a worker's sweep looks for purges that are due, which is once a second. */
export function lookingForPurges({ refused }: { readonly refused: boolean }): Counted {
  return counted((again) => ({ duePurges }) => ({
    duePurges: async (query) => {
      again();
      return refused ? [] : duePurges(query);
    },
  }));
}

/** No run of this worker learns when it was planned. */
export const withoutPlans: StoreChange = ({ takeLease }) => ({
  takeLease: async (wanted) => {
    const taken = await takeLease(wanted);
    if (taken === null || taken.standing === null) return taken;
    const authorization = { ...taken.standing.authorization, nextRunAt: null };
    return { ...taken, standing: { ...taken.standing, authorization } };
  },
});

function counted(changeOf: (again: () => void) => StoreChange): Counted {
  let count = 0;
  return {
    change: changeOf(() => {
      count += 1;
    }),
    count: () => count,
    reset: () => {
      count = 0;
    },
  };
}
