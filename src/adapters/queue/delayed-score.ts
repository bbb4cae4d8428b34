/** BullMQ scores a delayed job with its instant times this, and a running number below it. */
const SCORE_PER_MS = 4_096;

/** When a delayed job wakes, by its score; wall milliseconds. */
export function instantOf(score: string): number {
  return Math.floor(Number(score) / SCORE_PER_MS);
}
