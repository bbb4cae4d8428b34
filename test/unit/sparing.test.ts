import { expect, test } from 'vitest';
import { sparing } from '../../src/main/sparing.ts';

/** A clock that stands until it is told to go on. */
function handClock() {
  let now = 0;
  return {
    go: (ms: number) => {
      now += ms;
    },
    clock: {
      stopwatch: () => {
        const from = now;
        return () => now - from;
      },
    },
  };
}

test('an answer that took 100 ms is given again for 2 s, and then asked for anew', async () => {
  const { go, clock } = handClock();
  let asked = 0;
  const ask = async () => {
    asked += 1;
    go(100);
    return asked;
  };
  const count = sparing({ clock, ask });
  expect(await count()).toBe(1);
  go(1_999);
  expect(await count()).toBe(1);
  go(2);
  expect(await count()).toBe(2);
});

test('who asks while the answer is being found out waits for the same one', async () => {
  const { clock } = handClock();
  let asked = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const count = sparing({
    clock,
    ask: async () => {
      asked += 1;
      await promise;
      return asked;
    },
  });
  const both = Promise.all([count(), count()]);
  resolve();
  expect(await both).toEqual([1, 1]);
});

test('a failure is told to whoever waits for it and to nobody after', async () => {
  const { clock } = handClock();
  let fails = true;
  const count = sparing({
    clock,
    ask: async () => {
      if (fails) throw new Error('away');
      return 1;
    },
  });
  await expect(count()).rejects.toThrow('away');
  fails = false;
  expect(await count()).toBe(1);
});
