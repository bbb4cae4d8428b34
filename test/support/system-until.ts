import { setTimeout as wait } from 'node:timers/promises';

const LOOK_EVERY_MS = 50;
const CAP_MS = 30_000;

/**
 * Looks until what was seen fits, and gives it. A condition with a cap and no sleep for luck: what takes too long fails under its own name,
 * with the last thing seen.
 */
export async function until<T>(
  what: string,
  look: () => Promise<T> | T,
  fits: (seen: T) => boolean,
  { capMs = CAP_MS, everyMs = LOOK_EVERY_MS }: { readonly capMs?: number; readonly everyMs?: number } = {},
): Promise<T> {
  const giveUpAt = performance.now() + capMs;
  for (;;) {
    const seen = await look();
    if (fits(seen)) return seen;
    if (performance.now() > giveUpAt) throw new Error(`not within ${capMs} ms: ${what}; last seen ${shown(seen)}`);
    await wait(everyMs);
  }
}

function shown(seen: unknown): string {
  return (JSON.stringify(seen) ?? String(seen)).slice(0, 2_000);
}
