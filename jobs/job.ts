import type { JobOutcome, QueueName } from '../src/core/ports/queue.ts';

/** One queue's job, as a worker runs it. */
export type Job = {
  readonly queue: QueueName;
  readonly run: (value: {
    readonly name: string;
    readonly payload: Readonly<Record<string, unknown>>;
    readonly signal: AbortSignal;
  }) => Promise<JobOutcome>;
};
