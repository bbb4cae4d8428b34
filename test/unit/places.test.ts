import { expect, test } from 'vitest';
import { createPlaces } from '../../src/adapters/queue/places.ts';

const LEND_AFTER_MS = 20;

/** Runs that last until they are told to end. */
function heldRuns(places: ReturnType<typeof createPlaces>) {
  const ends: (() => void)[] = [];
  return {
    begun: () => ends.length,
    begin: () => places.within(() => new Promise<void>((resolve) => ends.push(resolve))),
    end: () => {
      for (const end of ends) end();
    },
  };
}

test('a run waits while all places are taken, and takes the one that is given back', async () => {
  const places = createPlaces({ count: 1, lendAfterMs: 60_000, onChange: () => {} });
  const first = heldRuns(places);
  const second = heldRuns(places);
  const runs = [first.begin(), second.begin()];
  expect([first.begun(), second.begun()]).toEqual([1, 0]);
  first.end();
  await runs[0];
  expect(second.begun()).toBe(1);
  second.end();
  await Promise.all(runs);
  expect(places.wanted()).toBe(3);
});

test('runs that last lend their places out, to a limit, and a worker then asks for as many more jobs', async () => {
  const seen: number[] = [];
  const places = createPlaces({ count: 2, lendAfterMs: LEND_AFTER_MS, onChange: () => seen.push(places.wanted()) });
  const hanging = heldRuns(places);
  const runs = Array.from({ length: 8 }, () => hanging.begin());
  await expect.poll(() => hanging.begun()).toBe(6);
  // Two places, and two times as many lent: the rest waits.
  await new Promise((resolve) => setTimeout(resolve, 3 * LEND_AFTER_MS));
  expect(hanging.begun()).toBe(6);
  expect(Math.max(...seen)).toBe(2 + 4 + 2);
  while (hanging.begun() < 8) {
    hanging.end();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  hanging.end();
  await Promise.all(runs);
  expect(places.wanted()).toBe(4);
});

test('control: places that are not lent are all held by what hangs', async () => {
  const places = createPlaces({ count: 2, lendAfterMs: 60_000, onChange: () => {} });
  const hanging = heldRuns(places);
  const runs = [hanging.begin(), hanging.begin()];
  const healthy = places.within(async () => 'done');
  const late = new Promise((resolve) => setTimeout(() => resolve('waits'), 5 * LEND_AFTER_MS));
  expect(await Promise.race([healthy, late])).toBe('waits');
  hanging.end();
  await Promise.all([...runs, healthy]);
});
