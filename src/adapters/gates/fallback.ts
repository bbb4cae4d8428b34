import type { Log } from '../../core/ports/telemetry.ts';
import type { GateStates } from './states.ts';

/** How long a shared place that did not answer is left alone: each run would wait for it. */
const AWAY_FOR_MS = 10_000;

/**
 * The shared states, and while they are away those of this process: gates spare endpoints, and to spare them is no reason to stop. What was begun in one place and ends in
 * the other does no harm: a place that nobody gives back is free again by its time.
 */
export function withFallback({
  shared,
  own,
  now,
  log,
}: {
  readonly shared: GateStates;
  readonly own: GateStates;
  readonly now: () => number;
  readonly log: Log;
}): GateStates {
  let awayUntil: number | null = null;
  return {
    change: async (key, change) => {
      if (awayUntil !== null && now() < awayUntil) return own.change(key, change);
      try {
        const value = await shared.change(key, change);
        if (awayUntil !== null) log.info('gates_shared_again');
        awayUntil = null;
        return value;
      } catch {
        if (awayUntil === null) log.warn('gates_not_shared', { code: 'queue_unreachable' });
        awayUntil = now() + AWAY_FOR_MS;
        return own.change(key, change);
      }
    },
  };
}
