import type { Instant } from './clock.ts';

/** The earliest and the latest instant that has a date (ECMA-262, 21.4.1.1). */
const DATE_MAX_MS = 8.64e15;

/** An instant as RFC 3339 to the millisecond; `invalid` for a number that is none, so that an altered one is seen and stops nobody. */
export function instantText(instant: Instant): string {
  return Math.abs(instant) <= DATE_MAX_MS ? new Date(instant).toISOString() : 'invalid';
}
