import type { AuthorizationQueue, Repeating } from './queue.ts';

/** A job of one authorization that is still to end. `wakesAt` is wall time; null for one that waits for a worker or is with one. */
export type HeldJob = {
  readonly queue: AuthorizationQueue;
  readonly jobId: string;
  readonly wakesAt: number | null;
};

/** What the queue holds of one authorization; wall milliseconds. */
export type Held = {
  readonly scheduler: { readonly every: number; readonly offset: number; readonly next: number } | null;
  /** The run that the scheduler has made and nobody has taken: delayed, with a worker or waiting for one, or lost. */
  readonly pending:
    | { readonly kind: 'delayed'; readonly wakesAt: number }
    | { readonly kind: 'here' }
    | { readonly kind: 'gone' };
  /** Its jobs besides the pending one: those added for it, and runs that were put back. */
  readonly jobs: readonly HeldJob[];
};

/** One thing that the queue holds, met on a walk through it. */
export type Found =
  | { readonly kind: 'scheduler'; readonly authorizationId: string }
  | {
      readonly kind: 'job';
      readonly authorizationId: string;
      readonly queue: AuthorizationQueue;
      readonly jobId: string;
      readonly wakesAt: number;
      /** It is the pending run of its authorization's scheduler. */
      readonly own: boolean;
    };

/** A page of a walk, and where it goes on; null at its end. */
export type FoundPage = { readonly found: readonly Found[]; readonly after: string | null };

/** What a reconciler asks of the queue, and does to it. @throws PerennialError `queue_unreachable` from every call while it is away. */
export type QueueCensus = {
  /** What is held of each of these authorizations; one of which nothing is held is in it too. */
  readonly look: (authorizationIds: readonly string[]) => Promise<ReadonlyMap<string, Held>>;
  /** Walks over all schedulers and all delayed jobs, a page at a time, from the beginning with null. What stays all the while is met at least once. */
  readonly walk: (after: string | null) => Promise<FoundPage>;
  /** Makes the repeating job anew at its own next slot, whatever stands there, or `instead` of what is known to be nothing. Nothing runs at once. */
  readonly restore: (job: Repeating & { readonly instead: 'something' | 'nothing' }) => Promise<void>;
  /** Removes a delayed job; says whether it was there. One that is not delayed any more stays. */
  readonly drop: (job: Pick<HeldJob, 'queue' | 'jobId'> & { readonly authorizationId: string }) => Promise<boolean>;
  /** What {@link QueueCensus.setMark} last wrote, in every part of the queue; null where a part has none or they differ. */
  readonly mark: () => Promise<string | null>;
  readonly setMark: (mark: string) => Promise<void>;
};
