import type { Clock } from '../../src/core/ports/clock.ts';

/** A clock that shows what it is told, and sleeps for no time. */
export function clockAt(now: () => number): Clock {
  return {
    now,
    wallNow: now,
    toWall: (instant) => instant,
    fromWall: (wallMs) => wallMs,
    toWallMs: (durationMs) => durationMs,
    stopwatch: () => {
      const began = now();
      return () => now() - began;
    },
    sleep: async () => {},
  };
}
