import { LIMITS } from '../core/limits.ts';
import type { Fence } from '../core/ports/store.ts';
import type { Context } from './context.ts';

/** A lease while it is held. `signal` aborts when it is lost or when the process is told to stop. */
export type Held = {
  readonly fence: Fence;
  readonly signal: AbortSignal;
  /** How many holders in a row before this one died with it. */
  readonly crashes: number;
};

export type LeaseOutcome<T> = { readonly kind: 'held'; readonly value: T } | { readonly kind: 'taken' };

/**
 * Does `work` as the only one at this authorization: refresh, pull and purge share the lease, so none overlaps itself or another.
 * The lease is renewed while the work lasts and released after it. A holder that stalls loses the lease, and its fence makes
 * every later write of it lose too.
 */
export async function withLease<T>(
  {
    context,
    authorizationId,
    signal,
    seize = false,
  }: {
    readonly context: Context;
    readonly authorizationId: string;
    readonly signal: AbortSignal;
    /** Take it whoever holds it; for a purge, which wins over everything. */
    readonly seize?: boolean;
  },
  work: (held: Held) => Promise<T>,
): Promise<LeaseOutcome<T>> {
  const { store, owner } = context;
  const wanted = { authorizationId, owner, leaseMs: LIMITS.leaseMs };
  const taken = seize ? await store.seizeLease(wanted) : await store.takeLease(wanted);
  if (taken === null) return { kind: 'taken' };
  const { crashes, ...fence } = taken;
  const lost = new AbortController();
  const done = new AbortController();
  const renewing = keepRenewing({ context, fence, lost, done: done.signal });
  try {
    return { kind: 'held', value: await work({ fence, crashes, signal: AbortSignal.any([signal, lost.signal]) }) };
  } finally {
    done.abort();
    await renewing;
    await store.releaseLease({ ...fence, owner }).catch(() => {
      context.log.warn('lease_not_released', { authorizationId, reason: 'it ends by itself' });
    });
  }
}

/** Renews until `done`; a store that is away is asked again until the lease must have ended on its clock. */
async function keepRenewing({
  context,
  fence,
  lost,
  done,
}: {
  readonly context: Context;
  readonly fence: Fence;
  readonly lost: AbortController;
  readonly done: AbortSignal;
}): Promise<void> {
  const { store, clock, owner } = context;
  let sinceRenewed = clock.stopwatch();
  while (!done.aborted && !lost.signal.aborted) {
    await clock.sleep(LIMITS.leaseRenewMs, done);
    if (done.aborted) return;
    const sinceAsked = clock.stopwatch();
    const renewed = await store.renewLease({ ...fence, owner, leaseMs: LIMITS.leaseMs }).catch(() => null);
    if (renewed === true) sinceRenewed = sinceAsked;
    if (renewed === false || sinceRenewed() > LIMITS.leaseMs) lost.abort();
  }
}
