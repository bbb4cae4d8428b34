import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createClock } from '../../src/adapters/system/clock.ts';
import { createEntropy } from '../../src/adapters/system/entropy.ts';
import { toInstant, toWall } from '../../src/core/clock.ts';

const EPOCH = 1_780_000_000_000;

describe('the rate of a clock', () => {
  test('at speed 1 both times are the same, whatever the epoch', () => {
    expect(toInstant(EPOCH + 5, { epochMs: 1, speed: 1 })).toBe(EPOCH + 5);
    expect(toWall(EPOCH + 5, { epochMs: 1, speed: 1 })).toBe(EPOCH + 5);
  });

  test('at speed 3600 an hour passes each second after the epoch', () => {
    const rate = { epochMs: EPOCH, speed: 3_600 };
    expect(toInstant(EPOCH, rate)).toBe(EPOCH);
    expect(toInstant(EPOCH + 1_000, rate)).toBe(EPOCH + 3_600_000);
    expect(toWall(EPOCH + 86_400_000, rate)).toBe(EPOCH + 24_000);
  });

  test('there and back is the same instant', () => {
    const cases = fc.record({
      wall: fc.integer({ min: EPOCH, max: EPOCH + 10_000_000 }),
      speed: fc.integer({ min: 1, max: 100_000 }),
    });
    fc.assert(
      fc.property(cases, ({ wall, speed }) => {
        const rate = { epochMs: EPOCH, speed };
        expect(Math.abs(toWall(toInstant(wall, rate), rate) - wall)).toBeLessThan(0.01);
      }),
    );
  });
});

describe('the clock of this machine', () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: EPOCH + 2_000, toFake: ['Date'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('two processes with the same rate agree without talking', () => {
    const [one, two] = [createClock({ epochMs: EPOCH, speed: 60 }), createClock({ epochMs: EPOCH, speed: 60 })];
    expect(one.now()).toBe(EPOCH + 120_000);
    expect(two.now()).toBe(one.now());
    expect(one.wallNow()).toBe(EPOCH + 2_000);
    expect(one.toWallMs(60_000)).toBe(1_000);
    expect(one.fromWall(one.toWall(EPOCH + 77_000))).toBeCloseTo(EPOCH + 77_000, 0);
  });

  test('a sleep ends when its time is over', async () => {
    const clock = createClock({ epochMs: 0, speed: 1 });
    const began = performance.now();
    await clock.sleep(30);
    expect(performance.now() - began).toBeGreaterThanOrEqual(28);
  });

  test.each([
    ['of no time', 0, undefined],
    ['of less than no time', -5, undefined],
    ['under a signal that is aborted already', 60_000, AbortSignal.abort()],
  ])('a sleep %s ends at once', async (_, wallMs, signal) => {
    const began = performance.now();
    await createClock({ epochMs: 0, speed: 1 }).sleep(wallMs, signal);
    expect(performance.now() - began).toBeLessThan(1_000);
  });

  test('a sleep ends at once when its signal aborts, and does not reject', async () => {
    const stop = new AbortController();
    const sleeping = createClock({ epochMs: 0, speed: 1 }).sleep(60_000, stop.signal);
    stop.abort(new Error('x'));
    await expect(sleeping).resolves.toBeUndefined();
  });
});

describe('entropy', () => {
  test('ids are unique and sort by the time of their making', () => {
    let now = EPOCH;
    const entropy = createEntropy({ wallNow: () => now });
    const ids = Array.from({ length: 1_000 }, () => {
      now += 1;
      return entropy.id();
    });
    expect(new Set(ids).size).toBe(1_000);
    expect([...ids].sort()).toEqual(ids);
  });

  test('random numbers lie in [0, 1)', () => {
    const { random } = createEntropy({ wallNow: () => 0 });
    for (let tries = 0; tries < 1_000; tries += 1) {
      const value = random();
      expect(value >= 0 && value < 1).toBe(true);
    }
  });
});
