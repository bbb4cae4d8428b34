import type { Clock } from '../../../src/core/ports/clock.ts';
import type { Timeline } from './timeline.ts';

/** One worker's process as the machine treats it: it may be frozen, killed, and have its clock set. */
export type Process = {
  readonly name: string;
  readonly clock: Clock;
  /** Goes on inside the process: at once, when it thaws, or never. */
  readonly deliver: (act: () => void) => void;
  readonly freeze: (forMs: number) => void;
  readonly crash: () => void;
  /** Tells it to stop: what runs may end. */
  readonly stop: () => void;
  readonly stopping: AbortSignal;
  readonly setClock: (byMs: number) => void;
  readonly runs: () => boolean;
  /** Whether it was frozen or killed at any moment of `[from, to]`. */
  readonly wasHitBetween: (from: number, to: number) => boolean;
  readonly crashed: () => boolean;
};

export function createProcess({ name, timeline }: { readonly name: string; readonly timeline: Timeline }): Process {
  const freezes: { readonly from: number; readonly to: number }[] = [];
  const state = { frozenUntil: Number.NEGATIVE_INFINITY, crashedAt: Number.POSITIVE_INFINITY, clockOffMs: 0 };
  const stopping = new AbortController();
  const isCrashed = () => timeline.now() >= state.crashedAt;
  const deliver = (act: () => void): void => {
    if (isCrashed()) return;
    if (timeline.now() < state.frozenUntil) timeline.at(state.frozenUntil, () => deliver(act));
    else act();
  };
  return {
    name,
    clock: clockOf({ timeline, deliver, offMs: () => state.clockOffMs }),
    deliver,
    freeze: (forMs) => {
      const from = timeline.now();
      state.frozenUntil = Math.max(state.frozenUntil, from + forMs);
      freezes.push({ from, to: state.frozenUntil });
    },
    crash: () => {
      state.crashedAt = Math.min(state.crashedAt, timeline.now());
    },
    stop: () => stopping.abort(),
    stopping: stopping.signal,
    setClock: (byMs) => {
      state.clockOffMs += byMs;
    },
    runs: () => !isCrashed() && timeline.now() >= state.frozenUntil,
    wasHitBetween: (from, to) =>
      state.crashedAt <= to || freezes.some((freeze) => freeze.from <= to && freeze.to >= from),
    crashed: isCrashed,
  };
}

/** The wall's clock can be set; a stopwatch counts by whichever clock has moved further, as the real one does. */
function clockOf({
  timeline,
  deliver,
  offMs,
}: {
  readonly timeline: Timeline;
  readonly deliver: Process['deliver'];
  readonly offMs: () => number;
}): Clock {
  const wallNow = () => timeline.now() + offMs();
  return {
    now: wallNow,
    wallNow,
    toWall: (instant) => instant,
    fromWall: (wallMs) => wallMs,
    toWallMs: (durationMs) => durationMs,
    stopwatch: () => {
      const [wall, steady] = [wallNow(), timeline.now()];
      return () => Math.max(wallNow() - wall, timeline.now() - steady);
    },
    sleep: (wallMs, signal) =>
      wallMs <= 0 || signal?.aborted === true
        ? Promise.resolve()
        : new Promise((resolve) => {
            timeline.at(timeline.now() + wallMs, () => deliver(resolve));
            signal?.addEventListener('abort', () => resolve(), { once: true });
          }),
  };
}
