import type { WorkQueue } from '../../src/core/ports/queue.ts';

/** Into a context of which nothing comes into the queue: what happens is what the test does. */
export const QUIET_QUEUE = {
  add: async () => 'waits',
  schedule: async () => undefined,
} as const satisfies Partial<WorkQueue>;
