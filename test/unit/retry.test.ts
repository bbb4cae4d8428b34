import { describe, expect, test } from 'vitest';
import { ERRORS } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { retryAfterMs, TROUBLE_CODES } from '../../src/core/retry.ts';

const wait = (trouble: Parameters<typeof retryAfterMs>[0]['trouble'], hintMs: number | null, failures = 0) =>
  [0, 0.999].map((random) => retryAfterMs({ trouble, hintMs, failures, random }));

describe('what stands in the way of a refresh has a schedule of its own', () => {
  test('our own misconfiguration is tried once a quarter of an hour, since only a person can mend it', () => {
    for (const waitMs of wait('misconfigured', null, 9)) {
      expect(waitMs).toBeGreaterThanOrEqual(LIMITS.sourceProbeEveryMs);
      expect(waitMs).toBeLessThan(1.2 * LIMITS.sourceProbeEveryMs);
    }
  });

  test('a throttled one when the source says, or in a minute', () => {
    expect(wait('throttled', 7_000)).toEqual([7_000, 7_000]);
    for (const waitMs of wait('throttled', null)) {
      expect(waitMs).toBeGreaterThanOrEqual(LIMITS.throttledRetryMs / 2);
      expect(waitMs).toBeLessThanOrEqual(1.5 * LIMITS.throttledRetryMs);
    }
  });

  test.each(['outage', 'unsure'] as const)('an %s waits longer each time, up to an hour and a half', (trouble) => {
    const waits = [0, 1, 2, 5, 50].map((failures) => wait(trouble, null, failures)[0] ?? 0);
    expect(waits).toEqual(waits.toSorted((left, right) => left - right));
    expect(Math.max(...wait(trouble, null, 1_000))).toBeLessThanOrEqual(1.5 * LIMITS.retryMaxMs);
    expect(wait(trouble, 42_000, 3)).toEqual([42_000, 42_000]);
  });

  test('each is called something else in the catalogue, and none of them is the patient’s fault', () => {
    const codes = Object.values(TROUBLE_CODES);
    expect(new Set(codes).size).toBe(codes.length);
    for (const code of codes) expect(ERRORS[code].blame).not.toBe('patient');
  });
});
