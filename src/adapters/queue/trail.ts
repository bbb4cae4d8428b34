import type { AuthorizationQueue, QueueName, Swept } from '../../core/ports/queue.ts';
import type { Shard } from './layout.ts';

/** What is in a job: ids, a reason, and for intake a sealed request. Parsed by zod before use. */
export type Payload = Readonly<Record<string, unknown>>;

/** What each of several authorizations left behind in the queues; one that left nothing is not in it. */
export type SweptById = ReadonlyMap<string, Swept>;

/** Finds what names an authorization in the queues at the cost of what belongs to it, and of the events, which are bounded. */
export type Trail = {
  /** Notes a job whose id cannot be told from the authorization's, before it runs. */
  readonly note: (job: {
    readonly queue: QueueName;
    readonly shard: Shard;
    readonly jobId: string;
    readonly authorizationId: string;
  }) => Promise<void>;
  /** Removes jobs and what repeats them, and no events. */
  readonly removeJobs: (ids: readonly string[]) => Promise<void>;
  /** Removes all but the jobs that a worker holds. */
  readonly sweep: (ids: readonly string[]) => Promise<SweptById>;
  readonly traces: (ids: readonly string[]) => Promise<ReadonlyMap<string, number>>;
  readonly close: () => Promise<void>;
};

/** The queue whose jobs repeat. */
export const REPEATING: AuthorizationQueue = 'refresh-and-pull';

/** BullMQ takes no custom id that is a number. */
export function jobIdOf(authorizationId: string): string {
  return `once.${authorizationId}`;
}

/** The authorization that a job id of ours, or of BullMQ's repeating jobs, names; null for one that names none. */
export function authorizationIn(jobId: string): string | null {
  return /^once\.(.+)$/.exec(jobId)?.[1] ?? /^repeat:(.+):\d+$/.exec(jobId)?.[1] ?? null;
}
