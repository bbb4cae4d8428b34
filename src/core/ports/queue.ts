import type { Instant } from '../clock.ts';

/** Why a job runs. */
export const JOB_REASONS = ['accepted', 'asked_for', 'due', 'repaired', 'told', 'doubted'] as const;
export type JobReason = (typeof JOB_REASONS)[number];

/** The queues, named so that an on-call engineer knows what each does. */
export const QUEUES = ['intake', 'activate', 'refresh-and-pull', 'fetch-once', 'purge'] as const;
export type QueueName = (typeof QUEUES)[number];

/** The queues whose jobs name one authorization and nothing else. */
export type AuthorizationQueue = Exclude<QueueName, 'intake'>;

/** What the queues held of one authorization and gave up. */
export type Swept = { readonly jobs: number; readonly events: number };

/** The repeating job of one authorization. `phase` is its place in the period; without it the hash of its id. */
export type Repeating = { readonly authorizationId: string; readonly periodMs: number; readonly phase?: number };

/** What became of an added job: it waits for its turn, or one of its kind runs already and knows only what the store says. */
export type Added = 'waits' | 'runs';

/** Time and work distribution. Nothing in it is the truth: all of it can be made again from the store. */
export type WorkQueue = {
  /**
   * Makes or changes the one repeating job of a MULTIPLE authorization, at its hashed phase of the period. Safe to call again;
   * a changed period takes effect at the next hashed slot, not at once (peers, F-8). Milliseconds of domain time.
   */
  readonly schedule: (job: Repeating) => Promise<void>;
  /** The next slot at which the repeating job will run. */
  readonly nextRunAt: (job: Repeating) => Instant;
  readonly isScheduled: (authorizationId: string) => Promise<boolean>;
  /** Adds one job now or after `delayMs` of domain time. While one of its kind waits or runs, a second is not added. */
  readonly add: (job: {
    readonly queue: AuthorizationQueue;
    readonly authorizationId: string;
    readonly delayMs?: number;
    readonly reason: JobReason;
  }) => Promise<Added>;
  /** Removes the repeating job only. */
  readonly unschedule: (authorizationId: string) => Promise<void>;
  /** Removes all jobs that name the authorization: repeating, waiting, delayed and finished ones. What tells of them (events) stays. */
  readonly remove: (authorizationId: string) => Promise<void>;
  /**
   * Removes everything in every queue that names the authorization: jobs in any state, its repeating job, and the events that tell of them. A job that a
   * worker holds at this moment stays, and so a sweep is over only when {@link WorkQueue.traces} then finds nothing. Calls made at the same time share one pass.
   */
  readonly sweep: (authorizationId: string) => Promise<Swept>;
  /** How many jobs, events and notes in the queues still name the authorization. */
  readonly traces: (authorizationId: string) => Promise<number>;
  readonly ping: () => Promise<void>;
  readonly close: () => Promise<void>;
};

/** What a job's flow came to; the queue adapter turns it into BullMQ's own moves. */
export type JobOutcome =
  | { readonly kind: 'done'; readonly reason: string }
  /** Put this one job back for `afterWallMs` of wall time. */
  | {
      readonly kind: 'again';
      readonly afterWallMs: number;
      readonly reason: string;
      /** What was asked for is done; the job comes back as an ordinary one. */
      readonly asDue?: boolean;
    }
  /** It ends failed under this fixed code, for people to see. */
  | { readonly kind: 'failed'; readonly code: string };
