import type { Gates } from '../../src/core/ports/gates.ts';

/** Gates that are always open, for what is not about them. */
export const OPEN_GATES: Gates = {
  enter: async () => ({ kind: 'open', tokensAway: null, leave: async () => {} }),
  spend: async () => 0,
  note: async () => {},
  states: () => ({ open: 0, throttled: 0, breaker_open: 0, half_open: 0 }),
  close: async () => {},
};
