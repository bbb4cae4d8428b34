import { setTimeout as wait } from 'node:timers/promises';
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
    sleep: async (wallMs, signal) => {
      if (wallMs <= 0 || signal?.aborted === true) return;
      try {
        await wait(wallMs, undefined, signal === undefined ? {} : { signal });
      } catch {
        // Only an abort ends the wait early, and the caller asks the signal itself.
      }
    },
  };
}
