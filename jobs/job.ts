import type { JobOutcome, QueueName } from '../src/core/ports/queue.ts';

/** One queue's job, as a worker runs it. */
export type Job = {
  readonly queue: QueueName;
  readonly run: (value: {
    readonly name: string;
    readonly payload: Readonly<Record<string, unknown>>;
    /** How long ago the job was added; wall time. */
    readonly ageMs: number;
    readonly signal: AbortSignal;
  }) => Promise<JobOutcome>;
};
