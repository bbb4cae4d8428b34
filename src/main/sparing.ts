import type { Clock } from '../core/ports/clock.ts';

/** A count over a million rows takes tenths of a second: asked for again after so many times what it took, it takes a twentieth of one connection's time at most. */
const REST_FACTOR = 20;

/** Gives an answer once more while it is young for what it cost; who asks while it is being found out waits for the same one. A failure is not kept. */
export function sparing<T>({
  ask,
  clock,
}: {
  readonly ask: () => Promise<T>;
  readonly clock: Pick<Clock, 'stopwatch'>;
}): () => Promise<T> {
  let kept: { readonly answer: Promise<T>; readonly since: () => number; tookMs: number } | null = null;
  return () => {
    if (kept !== null && kept.since() <= kept.tookMs * (REST_FACTOR + 1)) return kept.answer;
    const since = clock.stopwatch();
    const asked = { answer: ask(), since, tookMs: Number.POSITIVE_INFINITY };
    kept = asked;
    asked.answer.then(
      () => {
        asked.tookMs = since();
      },
      () => {
        if (kept === asked) kept = null;
      },
    );
    return asked.answer;
  };
}
