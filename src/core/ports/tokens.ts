import type { Instant } from '../clock.ts';
import type { TokenFacts } from '../decide-refresh.ts';

export type SealedTokens = TokenFacts & {
  /** When an attempt of ours was last sent without an answer that may yet kill this pair, on the store's clock; null where there is no such doubt. */
  readonly doubtAt: Instant | null;
  readonly sealed: Uint8Array;
};

/** The durable trace of a token about to be spent. */
export type Intent = {
  readonly authorizationId: string;
  readonly kind: 'refresh' | 'exchange';
  readonly attemptId: string;
  readonly tokenVersion: number;
  /** On the store's clock. */
  readonly startedAt: Instant;
  /** An earlier attempt with this very token may have been lost on its way. */
  readonly unsure: boolean;
  /** The attempt ended without an answer and a job will try again; a crash leaves it false. */
  readonly parked: boolean;
  /** When this token was first refused in a way that may mean something else; a second such refusal, later, is believed. */
  readonly unclearSince: Instant | null;
};
