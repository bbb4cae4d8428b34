import { LIMITS } from './limits.ts';

/** The two sides of an endpoint. Its records may be had while its token endpoint is away, and the other way round. */
export type GatePart = 'tokens' | 'pages';

/** A breaker that has opened. From `until` on it is half open: `probe`, if there is one, is the holder that tries. */
export type Breaker = {
  readonly since: number;
  readonly until: number;
  readonly waitMs: number;
  readonly probe: string | null;
};

/** How one side of an endpoint has treated us lately; instants and durations of wall time. */
export type PartState = {
  /** It has named a time before which nobody should come. */
  readonly throttledUntil: number;
  /** Failures in a row. */
  readonly failures: number;
  readonly breaker: Breaker | null;
};

export const WELL: PartState = { throttledUntil: 0, failures: 0, breaker: null };

/** What an answer says of the endpoint. A refusal of one patient's token or type is an answer: the endpoint is well. */
export type GateAnswer =
  | { readonly kind: 'answered' | 'failed' }
  | { readonly kind: 'throttled'; readonly waitMs: number };

/** How long a breaker is open at first and at most, and when the others come back while somebody probes. */
export type BreakerWaits = { readonly firstMs: number; readonly maxMs: number; readonly probeMs: number };

/**
 * One side after an answer. {@link LIMITS.breakerAfterFailures} failures in a row open the breaker, the probe's answer closes it or opens it for twice as long.
 * An answer to a request that was sent before the breaker moved says nothing new: it belongs to what has opened it.
 */
export function afterAnswer({
  part,
  answer,
  sentAt,
  waits,
  now,
}: {
  readonly part: PartState;
  readonly answer: GateAnswer;
  readonly sentAt: number;
  readonly waits: BreakerWaits;
  readonly now: number;
}): PartState {
  if (answer.kind === 'throttled') {
    const until = now + Math.min(answer.waitMs, LIMITS.retryAfterMaxMs);
    return { ...part, throttledUntil: Math.max(part.throttledUntil, until) };
  }
  const { breaker, failures } = part;
  if (breaker === null) {
    if (answer.kind === 'answered') return failures === 0 ? part : { ...part, failures: 0 };
    const counted = failures + 1;
    if (counted < LIMITS.breakerAfterFailures) return { ...part, failures: counted };
    return { ...part, failures: counted, breaker: opened({ waitMs: waits.firstMs, now }) };
  }
  if (sentAt < breaker.since) return part;
  if (answer.kind === 'answered') return { ...part, failures: 0, breaker: null };
  if (now < breaker.until) return part;
  const waitMs = Math.min(breaker.waitMs * 2, waits.maxMs);
  return { ...part, failures: failures + 1, breaker: opened({ waitMs, now }) };
}

function opened({ waitMs, now }: { readonly waitMs: number; readonly now: number }): Breaker {
  return { since: now, until: now + waitMs, waitMs, probe: null };
}

/** How one side stands to whoever comes now. */
export type Standing =
  | { readonly kind: 'open' }
  /** Half open, and nobody tries: whoever comes is the probe. */
  | { readonly kind: 'probe' }
  | { readonly kind: 'closed'; readonly reason: 'throttled' | 'breaker'; readonly until: number };

/** Where one side stands. `isThere` tells whether a holder still lives: the probe of a worker that died is free again. */
export function standingOf({
  part: { throttledUntil, breaker },
  isThere,
  waits,
  now,
}: {
  readonly part: PartState;
  readonly isThere: (holder: string) => boolean;
  readonly waits: BreakerWaits;
  readonly now: number;
}): Standing {
  if (now < throttledUntil) return { kind: 'closed', reason: 'throttled', until: throttledUntil };
  if (breaker === null) return { kind: 'open' };
  if (now < breaker.until) return { kind: 'closed', reason: 'breaker', until: breaker.until };
  if (breaker.probe === null || !isThere(breaker.probe)) return { kind: 'probe' };
  return { kind: 'closed', reason: 'breaker', until: now + Math.min(breaker.waitMs, waits.probeMs) };
}

/** The side with its probe set, or freed with null. */
export function withProbe(part: PartState, probe: string | null): PartState {
  return part.breaker === null ? part : { ...part, breaker: { ...part.breaker, probe } };
}
