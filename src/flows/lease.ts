import type { Instant } from '../core/clock.ts';
import { LIMITS } from '../core/limits.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Fence, Standing, Store } from '../core/ports/store.ts';
import type { Context } from './context.ts';

/** A lease while it is held. `signal` aborts when it is lost or when the process is told to stop. */
export type Held = {
  readonly fence: Fence;
  readonly signal: AbortSignal;
  /** How many holders in a row before this one died with it. */
  readonly crashes: number;
  /** Says that this holder did what the ones before it may have died of: from here on no crash is on its account. */
  readonly survived: () => void;
  /** The store's clock, which is the same for all workers: as it was when the lease was asked for, and what has passed since; never behind it. */
  readonly storeNow: () => Instant;
  /** What stood behind the lease when it was taken; what this holder has written since is not in it. */
  readonly standing: Standing | null;
  /** Says that the holder's last write has given the lease back, so that nobody does it again. */
  readonly wasReleased: () => void;
};

export type LeaseOutcome<T> = { readonly kind: 'held'; readonly value: T } | { readonly kind: 'taken' };

/** Why a wait of ours ends early: an abort without a reason makes an error with a stack, for each run. */
const OVER = 'over';

type Leasing = Pick<Context, 'clock' | 'log' | 'owner' | 'stopping'> & {
  readonly store: Pick<Store, 'takeLease' | 'seizeLease' | 'renewLease' | 'releaseLease'>;
};

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
    readonly context: Leasing;
    readonly authorizationId: string;
    readonly signal: AbortSignal;
    /** Take it whoever holds it; for a purge, which wins over everything. */
    readonly seize?: boolean;
  },
  work: (held: Held) => Promise<T>,
): Promise<LeaseOutcome<T>> {
  const { store, clock, owner } = context;
  const wanted = { authorizationId, owner, leaseMs: LIMITS.leaseMs };
  const sinceAsked = clock.stopwatch();
  const taken = seize ? await store.seizeLease(wanted) : await store.takeLease(wanted);
  if (taken === null) return { kind: 'taken' };
  const { crashes, takenAt, standing, ...fence } = taken;
  let released = false;
  let left = crashes;
  const survived = (): void => {
    left = 0;
  };
  const wasReleased = (): void => {
    released = true;
  };
  const over = new AbortController();
  const done = new AbortController();
  const end = (): void => over.abort(OVER);
  // Unlike `AbortSignal.any` it leaves nothing at a signal that outlives it: a worker's own sees a run every few milliseconds.
  if (signal.aborted) end();
  else signal.addEventListener('abort', end, { once: true });
  const renewing = keepRenewing({ context, fence, lose: end, done: done.signal });
  try {
    return {
      kind: 'held',
      value: await work({
        fence,
        crashes,
        survived,
        storeNow: () => clock.fromWall(takenAt + sinceAsked()),
        standing,
        wasReleased,
        signal: over.signal,
      }),
    };
  } finally {
    done.abort(OVER);
    signal.removeEventListener('abort', end);
    await renewing;
    if (!released) await release({ context, fence, crashes: left });
  }
}

/** Gives it back; from a store that is away later on, since a lease that nobody gives back counts as a death of its holder. */
async function release(giving: Giving): Promise<void> {
  if (await isGivenBack(giving)) return;
  const { context, fence } = giving;
  context.log.warn('lease_not_released', { authorizationId: fence.authorizationId, reason: 'the store is away' });
  void releaseLater(giving);
}

async function releaseLater(giving: Giving): Promise<void> {
  const { clock, stopping } = giving.context;
  const since = clock.stopwatch();
  while (!stopping.aborted && since() < LIMITS.commitRetryForMs) {
    await clock.sleep(LIMITS.commitRetryEveryMs, stopping);
    if (await isGivenBack(giving)) return;
  }
}

type Giving = { readonly context: Leasing; readonly fence: Fence; readonly crashes: number };

function isGivenBack({ context: { store, owner }, fence, crashes }: Giving): Promise<boolean> {
  return store.releaseLease({ ...fence, owner, crashes }).then(
    () => true,
    () => false,
  );
}

/** Renews until `done`; a store that is away is asked again until the lease must have ended on its clock. */
async function keepRenewing({
  context,
  fence,
  lose,
  done,
}: {
  readonly context: Leasing;
  readonly fence: Fence;
  readonly lose: () => void;
  readonly done: AbortSignal;
}): Promise<void> {
  const { store, clock, owner } = context;
  let sinceRenewed = clock.stopwatch();
  let waitMs: number = LIMITS.leaseRenewMs;
  while (!done.aborted) {
    await clock.sleep(waitMs, done);
    if (done.aborted) return;
    const sinceAsked = clock.stopwatch();
    const asked = store.renewLease({ ...fence, owner, leaseMs: LIMITS.leaseMs }).catch(() => null);
    // A process that slept past its lease asks too: perhaps nobody has taken it.
    const wallMs = Math.max(LIMITS.leaseRenewMs, LIMITS.leaseMs - sinceRenewed() + 1);
    const renewed = await within({ clock, answer: asked, wallMs });
    if (renewed === true) sinceRenewed = sinceAsked;
    const isOld = sinceRenewed() > LIMITS.leaseMs;
    if (renewed === false || (renewed === null && isOld)) return lose();
    // The process stood still or its clock was set while it asked. A lease that is given up while a token is on its way has it sent twice.
    waitMs = isOld ? 0 : LIMITS.leaseRenewMs;
  }
}

/** The answer, or null when it takes longer: over a connection that has gone silent a query hangs for several leases. */
async function within<T>({
  clock,
  answer,
  wallMs,
}: {
  readonly clock: Clock;
  readonly answer: Promise<T>;
  readonly wallMs: number;
}): Promise<T | null> {
  const answered = new AbortController();
  const waiting = clock.sleep(wallMs, answered.signal).then(() => null);
  return Promise.race([answer, waiting]).finally(() => answered.abort(OVER));
}
