import { describe, expect, test } from 'vitest';
import { createPullPlaces, type PullPlaces } from '../../src/flows/pull-places.ts';

const NEVER = new AbortController().signal;

describe('the places for pulls', () => {
  test('let in no more than they are, in the order of asking, and one for each that leaves', async () => {
    await expect(orderOf(createPullPlaces({ count: 2 }))).resolves.toEqual(['2 in', '3 in', '4 in', '5 in']);
  });

  test('the check can fail: without places all are in at once', async () => {
    const open: PullPlaces = { within: (_, pull) => pull() };
    await expect(orderOf(open)).resolves.not.toEqual(['2 in', '3 in', '4 in', '5 in']);
  });

  test('a pull that fails gives its place back, and one that is told to stop waits for none', async () => {
    const places = createPullPlaces({ count: 1 });
    await expect(places.within(NEVER, () => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
    const first = Promise.withResolvers<void>();
    const held = places.within(NEVER, () => first.promise);
    const stopping = new AbortController();
    const stopped = places.within(stopping.signal, async () => 'ended by itself');
    stopping.abort();
    expect(await stopped).toBe('ended by itself');
    expect(await places.within(AbortSignal.abort(), async () => 'at once')).toBe('at once');
    const last = places.within(NEVER, async () => 'in');
    first.resolve();
    await held;
    expect(await last).toBe('in');
    // Whoever had no place has none to give back.
    await expect(orderOf(places)).resolves.toEqual(['1 in', '2 in', '3 in', '4 in', '5 in']);
  });
});

/** Who comes in when one after the other leaves, where five want in. */
async function orderOf(places: PullPlaces): Promise<readonly string[]> {
  const inside: PromiseWithResolvers<void>[] = [];
  const told: string[] = [];
  const runs = [1, 2, 3, 4, 5].map((name) =>
    places.within(NEVER, () => {
      const stay = Promise.withResolvers<void>();
      inside.push(stay);
      told.push(`${name} in`);
      return stay.promise;
    }),
  );
  const order: string[] = [];
  for (let at = 0; at < runs.length; at += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    order.push(...told.splice(0).slice(-1));
    inside[at]?.resolve();
  }
  await Promise.all(runs);
  return order;
}
