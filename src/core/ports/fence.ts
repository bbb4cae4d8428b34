import type { Authorization } from '../authorization.ts';
import type { SourceCondition } from './source-condition.ts';
import type { Intent, SealedTokens } from './tokens.ts';

/** Proof of holding an authorization: every write names it and loses once the fence has moved on. */
export type Fence = { readonly authorizationId: string; readonly fence: number };

/** What stands behind a lease at the moment of its taking, all of it of one holder's time: whoever wrote last had the lease before. */
export type Standing = {
  readonly authorization: Authorization;
  readonly tokens: SealedTokens | null;
  readonly intent: Intent | null;
  /** What is noted against its source; null where that is well. */
  readonly sourceCondition: SourceCondition | null;
};

/** A lease just taken. */
export type Taken = Fence & {
  /**
   * How many holders in a row before this one never gave it back: their process died, or stood still for longer than a lease. One of the same owner has not died: the
   * answer to its taking was lost.
   */
  readonly crashes: number;
  /** When it was taken, on the store's clock; wall milliseconds. */
  readonly takenAt: number;
  /** Null where there is no such authorization. */
  readonly standing: Standing | null;
};

export type CommitResult = 'committed' | 'superseded';
