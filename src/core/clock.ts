/** Milliseconds since 1970-01-01T00:00:00Z on the domain's clock (the one tokens, cadences and deadlines are read on). */
export type Instant = number;

/** How the domain's clock runs against the wall: `speed` 1 is real time, 3600 makes an hour pass each second. */
export type ClockRate = { readonly epochMs: number; readonly speed: number };

/**
 * The domain instant that belongs to a wall-clock instant. At speed 1 both are the same; a fast clock starts at
 * `epochMs` and runs `speed` times faster, so that two processes given the same rate agree without talking.
 */
export function toInstant(wallMs: number, rate: ClockRate): Instant {
  return rate.speed === 1 ? wallMs : rate.epochMs + (wallMs - rate.epochMs) * rate.speed;
}

/** The wall-clock instant at which the domain's clock shows `instant`; the inverse of {@link toInstant}. */
export function toWall(instant: Instant, rate: ClockRate): number {
  return rate.speed === 1 ? instant : rate.epochMs + (instant - rate.epochMs) / rate.speed;
}
