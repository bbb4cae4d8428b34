import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { LIMITS } from '../../src/core/limits.ts';
import { withLease } from '../../src/flows/lease.ts';
import { SILENT_LOG } from '../support/model/worker.ts';

const HOUR_MS = 3_600_000;

type Renewal = () => Promise<boolean>;

/** Time that passes only while somebody sleeps; and a store that renews as it is told. */
function leasing(renewLease: Renewal, releaseLease = async (): Promise<void> => undefined) {
  let now = 0;
  const clock = {
    now: () => now,
    wallNow: () => now,
    toWall: (instant: number) => instant,
    fromWall: (wallMs: number) => wallMs,
    toWallMs: (durationMs: number) => durationMs,
    stopwatch: () => {
      const began = now;
      return () => now - began;
    },
    sleep: async (wallMs: number, signal?: AbortSignal) => {
      // Two turns: what is answered at once comes before time passes.
      for (let turn = 0; turn < 2; turn += 1) await new Promise(setImmediate);
      if (signal?.aborted !== true) now += wallMs;
    },
  };
  const taken = { authorizationId: 'one', fence: 1, crashes: 0, takenAt: 0, standing: null };
  const store = {
    takeLease: async () => taken,
    seizeLease: async () => taken,
    renewLease,
    releaseLease,
  };
  return {
    context: { clock, log: SILENT_LOG, owner: 'us', stopping: new AbortController().signal, store },
    now: clock.now,
    /** Sets the clock ahead. */
    set: (byMs: number): void => {
      now += byMs;
    },
  };
}

/** Works until the lease is lost, or for ten of its lives; gives how long it worked. */
async function workedFor(renewLease: Renewal): Promise<number> {
  const { context, now } = leasing(renewLease);
  const { signal } = new AbortController();
  await withLease({ context, authorizationId: 'one', signal }, async (held) => {
    while (!held.signal.aborted && now() < 10 * LIMITS.leaseMs) await new Promise(setImmediate);
  });
  return now();
}

test('work goes on for as long as its lease is renewed', async () => {
  expect(await workedFor(async () => true)).toBeGreaterThanOrEqual(10 * LIMITS.leaseMs);
});

test.each<[string, Renewal]>([
  ['refuses', () => Promise.reject(new Error('away'))],
  ['hangs, as a connection does that has gone silent', () => new Promise(() => undefined)],
])('work whose store %s ends with its lease, since another may have it from then on', async (_what, renewLease) => {
  expect(await workedFor(renewLease)).toBeLessThanOrEqual(LIMITS.leaseMs + LIMITS.leaseRenewMs);
});

test.each([false, true])(
  'work ends when its worker is told to stop (before it began: %s), and leaves no listener',
  async (before) => {
    const { context } = leasing(async () => true);
    const worker = new AbortController();
    if (before) worker.abort();
    const outcome = await withLease({ context, authorizationId: 'one', signal: worker.signal }, async (held) => {
      worker.abort();
      return held.signal.aborted;
    });
    expect(outcome).toStrictEqual({ kind: 'held', value: true });
    const other = new AbortController();
    await withLease({ context, authorizationId: 'one', signal: other.signal }, async () => undefined);
    expect(getEventListeners(other.signal, 'abort')).toEqual([]);
  },
);

test('work whose lease has been taken ends at the next renewal', async () => {
  expect(await workedFor(async () => false)).toBeLessThanOrEqual(LIMITS.leaseRenewMs);
});

test('work goes on where the clock is set while its lease is renewed: the store is asked again at once', async () => {
  let renewals = 0;
  const { context, now, set } = leasing(async () => {
    renewals += 1;
    if (renewals === 1) set(HOUR_MS);
    return true;
  });
  const { signal } = new AbortController();
  const asked: number[] = [];
  await withLease({ context, authorizationId: 'one', signal }, async (held) => {
    while (!held.signal.aborted && now() < HOUR_MS + 10 * LIMITS.leaseMs) {
      if (asked.length < renewals) asked.push(now());
      await new Promise(setImmediate);
    }
  });
  expect(now()).toBeGreaterThanOrEqual(HOUR_MS + 10 * LIMITS.leaseMs);
  expect((asked[1] ?? 0) - (asked[0] ?? 0)).toBe(0);
});

test('work ends where a process stood still for longer than its lease and another has it', async () => {
  let renewals = 0;
  const { context, now, set } = leasing(async () => {
    renewals += 1;
    if (renewals === 1) set(2 * LIMITS.leaseMs);
    return renewals === 1;
  });
  const { signal } = new AbortController();
  await withLease({ context, authorizationId: 'one', signal }, async (held) => {
    while (!held.signal.aborted && now() < 10 * LIMITS.leaseMs) await new Promise(setImmediate);
  });
  expect(now()).toBe(LIMITS.leaseRenewMs + 2 * LIMITS.leaseMs);
});

test('a lease that the store could not take back is given back when it can, or its holder would count as dead', async () => {
  let refusals = 5;
  const given = Promise.withResolvers<void>();
  const { context, now } = leasing(
    async () => true,
    async () => {
      refusals -= 1;
      if (refusals >= 0) throw new Error('away');
      given.resolve();
    },
  );
  const { signal } = new AbortController();
  await withLease({ context, authorizationId: 'one', signal }, async () => undefined);
  await given.promise;
  expect(now()).toBeLessThan(LIMITS.commitRetryForMs);
});
