import type { Turn } from './turn.ts';

/** What an adaptive cadence learns of a pull. */
export function learn(_: { readonly turn: Turn; readonly from: number; readonly changed: boolean }): void {}

/** When an adaptive cadence wants to pull next; null leaves it to the period. */
export function plannedPull(_: Turn): number | null {
  return null;
}
