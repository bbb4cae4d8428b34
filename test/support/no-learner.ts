import type { Learner } from '../../src/flows/learn.ts';

/** Learns nothing, and so leaves every pull to its period. */
export const NO_LEARNER: Learner = {
  learn: async () => undefined,
  plan: async () => null,
  settle: async () => undefined,
};
