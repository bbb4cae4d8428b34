import type { Store } from '../../../src/core/ports/store.ts';
import type { Policy } from './authorization-server.ts';

/** Where in a process's work something befalls it: at a call of the store, or on a token's way to the source and back. */
export type Place = keyof Store | 'connect' | 'wire' | 'answer' | 'fetchPage';

export type Befall =
  | { readonly kind: 'crash' }
  | { readonly kind: 'freeze'; readonly forMs: number }
  /** It is told to stop: what runs may end, no new token is sent. */
  | { readonly kind: 'stop' }
  /** The connection to the store breaks: before the call took effect, or after it, so that only its answer is lost. */
  | { readonly kind: 'cut' };

/** Something befalls one worker the `nth` time it comes to a place, before or after what is done there takes effect. */
export type Hit = {
  readonly worker: number;
  readonly place: Place;
  readonly nth: number;
  readonly when: 'before' | 'after';
  readonly befall: Befall;
};

/** Something befalls one worker at a time. */
export type Jolt = {
  readonly worker: number;
  readonly atMs: number;
  readonly befall:
    | { readonly kind: 'freeze'; readonly forMs: number }
    | { readonly kind: 'clock'; readonly byMs: number };
};

/** What becomes of one token request on its way; `none` most of the time. */
export const POST_FAULTS = [
  'none',
  'refused',
  'lost_request',
  'reset_after',
  'lost_reply',
  'error_before',
  'error_after',
  'cut_short',
  'throttled',
  'slow',
] as const;
export type PostFault = (typeof POST_FAULTS)[number];
/** With these the server has spent the token and its reply is gone, or comes too late. */
export const LOSSES: ReadonlySet<PostFault> = new Set(['reset_after', 'lost_reply', 'error_after', 'cut_short']);

/** One schedule: everything that is not decided by the flows themselves. */
export type Plan = {
  readonly seed: number;
  readonly policy: Policy;
  readonly workers: number;
  readonly authorizations: number;
  /** How often the tokens come due. */
  readonly rounds: number;
  /** How long a refresh token lives, as the server says; null where it says nothing and sets no end. */
  readonly refreshLifetimeMs: number | null;
  /** How many services ask each worker for a token in each round. */
  readonly callers: number;
  readonly hits: readonly Hit[];
  readonly jolts: readonly Jolt[];
  /** By the order in which requests are put on the wire. */
  readonly posts: readonly PostFault[];
  /** What a process that thaws after a request's deadline sees first: the deadline, or the reply. */
  readonly deadlineFirst: boolean;
  /** The longest a connection takes to stand; beyond some seconds the sender no longer sends. */
  readonly connectMaxMs: number;
  /** The least it takes; a few milliseconds unless said. */
  readonly connectMinMs?: number;
};
