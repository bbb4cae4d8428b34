import type { Instant } from '../clock.ts';

/** The two times: the domain's (tokens, cadences, deadlines; may run fast) and the wall's (leases, timeouts, shutdown). */
export type Clock = {
  readonly now: () => Instant;
  readonly wallNow: () => number;
  readonly toWall: (instant: Instant) => number;
  readonly fromWall: (wallMs: number) => Instant;
  /** Milliseconds of wall time in which `durationMs` of domain time pass. */
  readonly toWallMs: (durationMs: number) => number;
  /**
   * Starts to count; what it gives says how many wall milliseconds have passed since, at least. A clock that is set does not shorten it, and a machine
   * that slept does not either.
   */
  readonly stopwatch: () => () => number;
  /** Resolves after `wallMs`, or at once when the signal aborts; never rejects. */
  readonly sleep: (wallMs: number, signal?: AbortSignal) => Promise<void>;
};

/** Randomness and identifiers. */
export type Entropy = {
  /** A number in [0, 1). */
  readonly random: () => number;
  /** A new unique id, sortable by time of making. */
  readonly id: () => string;
};
