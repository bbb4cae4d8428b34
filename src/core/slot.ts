import { nextSlot, phaseOf } from './cadence.ts';

/** When a repeating job runs, on the wall: every so many milliseconds, so many behind the multiples of that, and next then. */
export type Slot = { readonly every: number; readonly offset: number; readonly next: number };

/** The slot of an authorization's repeating job as BullMQ is to have it; wall milliseconds, whole ones. */
export function slotOf({
  id,
  everyMs,
  phase,
  now,
}: {
  readonly id: string;
  /** The period in wall milliseconds. */
  readonly everyMs: number;
  /** Its place in the period; without it the hash of its id. */
  readonly phase?: number;
  readonly now: number;
}): Slot {
  const every = Math.max(1, Math.round(everyMs));
  // BullMQ takes an offset of 0 for "none" and runs at once.
  const offset = Math.max(1, phaseOf({ id, periodMs: every, ...(phase === undefined ? {} : { phase }) }));
  return { every, offset, next: nextSlot({ now, periodMs: every, phaseMs: offset }) };
}
