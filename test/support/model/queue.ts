import { nextSlot, phaseOf } from '../../../src/core/cadence.ts';
import type { Clock } from '../../../src/core/ports/clock.ts';
import type { WorkQueue } from '../../../src/core/ports/queue.ts';

/** What was put into the queue and not taken out; who runs it is up to the test. */
export type QueueModel = {
  readonly scheduled: Map<string, number>;
  readonly added: { readonly authorizationId: string; readonly queue: string }[];
};

export function createQueueModel(): QueueModel {
  return { scheduled: new Map(), added: [] };
}

/** The WorkQueue port of one process, with the slots that BullMQ would give. */
export function queuePort({ model, clock }: { readonly model: QueueModel; readonly clock: Clock }): WorkQueue {
  return {
    schedule: async ({ authorizationId, periodMs }) => {
      model.scheduled.set(authorizationId, periodMs);
    },
    nextRunAt: ({ authorizationId, periodMs }) =>
      nextSlot({ now: clock.wallNow(), periodMs, phaseMs: Math.max(1, phaseOf({ id: authorizationId, periodMs })) }),
    isScheduled: async (authorizationId) => model.scheduled.has(authorizationId),
    add: async ({ authorizationId, queue }) => {
      model.added.push({ authorizationId, queue });
      return 'waits';
    },
    unschedule: async (authorizationId) => {
      model.scheduled.delete(authorizationId);
    },
    remove: async (authorizationId) => {
      model.scheduled.delete(authorizationId);
    },
    sweep: async (authorizationId) => ({ jobs: model.scheduled.delete(authorizationId) ? 1 : 0, events: 0 }),
    traces: async (authorizationId) => (model.scheduled.has(authorizationId) ? 1 : 0),
    ping: async () => undefined,
    close: async () => undefined,
  };
}
