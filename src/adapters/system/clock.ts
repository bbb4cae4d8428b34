import { type ClockRate, toInstant, toWall } from '../../core/clock.ts';
import type { Clock } from '../../core/ports/clock.ts';

/** The clock of this machine, at its own rate or a faster one; the one home of `Date.now`. */
export function createClock(rate: ClockRate): Clock {
  return {
    now: () => toInstant(Date.now(), rate),
    wallNow: () => Date.now(),
    toWall: (instant) => toWall(instant, rate),
    fromWall: (wallMs) => toInstant(wallMs, rate),
    toWallMs: (durationMs) => durationMs / rate.speed,
    stopwatch: () => {
      const [wallMs, monotonicMs] = [Date.now(), performance.now()];
      // The monotonic clock stands still while a machine is suspended, the wall's may be set back: the greater of both is the safe one.
      return () => Math.max(Date.now() - wallMs, performance.now() - monotonicMs);
    },
    // An abort ends the wait without an error, which would cost more than all else of a short wait; the caller asks the signal itself.
    sleep: async (wallMs, signal) => {
      if (wallMs <= 0 || signal?.aborted === true) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, wallMs);
      const stop = () => resolve();
      signal?.addEventListener('abort', stop, { once: true });
      await promise;
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
    },
  };
}
