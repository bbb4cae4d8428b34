import type { GateAnswer, GatePart } from '../breaker.ts';
import type { Away, ClosedReason, GateCondition } from '../gate.ts';

/** Which gate: each endpoint of each source has its own, shared by all workers. */
export type GateName = { readonly source: string; readonly endpointId: string };

export type Entry =
  | {
      readonly kind: 'open';
      /** Until when no token should be asked for, although pages may; null when tokens may be asked for. */
      readonly tokensAway: Away | null;
      /** Gives the place back; to be called once, however the run ends. Never rejects. */
      readonly leave: () => Promise<void>;
    }
  | { readonly kind: 'closed'; readonly reason: ClosedReason; readonly retryAfterMs: number };

/**
 * What one endpoint takes of us at once and by the minute, and whether it is well. All durations are of wall time. Nothing here rejects or blocks: where the
 * place of the shared state is away, each process goes by what it sees itself.
 */
export type Gates = {
  /**
   * Takes a place for one run. `needs` names the side without which the run makes no sense; `isFirst` sends a run that somebody asked for to the head of
   * the line. A closed gate names the instant at which this very run should come back.
   */
  readonly enter: (request: GateName & { readonly needs: GatePart; readonly isFirst: boolean }) => Promise<Entry>;
  /** Spends one request of the rate; 0, or how long to wait before asking again. */
  readonly spend: (gate: GateName) => Promise<number>;
  /** What an answer says of the endpoint; `sentAt` is when its request was sent. */
  readonly note: (
    answer: GateName & { readonly part: GatePart; readonly answer: GateAnswer; readonly sentAt: number },
  ) => Promise<void>;
  /** How many endpoints stand how, as this process saw them last. */
  readonly states: () => Readonly<Record<GateCondition, number>>;
  readonly close: () => Promise<void>;
};
