import { describe, expect, test } from 'vitest';
import { LIMITS } from '../../src/core/limits.ts';
import type { QueueCensus } from '../../src/core/ports/census.ts';
import type { Context } from '../../src/flows/context.ts';
import { createMarks } from '../../src/flows/marks.ts';
import { createStoreModel } from '../support/model/store.ts';

const PASS = { authorizations: 3, drift: 0 };

describe('the mark of a queue', () => {
  test('a queue without one, or with another, is owed a pass in a hurry; one that was just looked through is not', async () => {
    const house = houseOf();
    const first = await house.marks();
    expect(first.isOwed()).toBe(true);
    await first.begin();
    await first.passed(PASS);
    expect((await house.marks()).isOwed()).toBe(false);
    house.queue.mark = null;
    expect((await house.marks()).isOwed()).toBe(true);
  });

  test('an emptied queue, and one from an older copy, are seen at the next look', async () => {
    const house = houseOf();
    const marks = await house.marks();
    await marks.begin();
    await marks.passed(PASS);
    const copy = house.queue.mark;
    expect(await marks.isKept()).toBe(true);
    house.wait(LIMITS.markEveryMs + 1);
    expect(await marks.isKept()).toBe(true);
    expect(house.queue.mark).not.toBe(copy);
    house.queue.mark = copy;
    expect(await marks.isKept()).toBe(false);
    house.queue.mark = null;
    expect(await marks.isKept()).toBe(false);
  });

  test('a pass that dies in its middle is owed still, however long it took', async () => {
    const house = houseOf();
    const dying = await house.marks();
    await dying.begin();
    house.wait(2 * LIMITS.markEveryMs);
    await dying.isKept();
    expect((await house.marks()).isOwed()).toBe(true);
  });

  test('a last pass that is long ago is no reason to trust', async () => {
    const house = houseOf();
    const marks = await house.marks();
    await marks.begin();
    await marks.passed(PASS);
    house.wait(LIMITS.reconcileFreshMs + 1);
    expect((await house.marks()).isOwed()).toBe(true);
  });
});

function houseOf() {
  let now = 1_000;
  let last = 0;
  const queue: { mark: string | null } = { mark: null };
  const { store } = createStoreModel({ now: () => now });
  const census: Pick<QueueCensus, 'mark' | 'setMark'> = {
    mark: async () => queue.mark,
    setMark: async (mark) => {
      queue.mark = mark;
    },
  };
  const stopwatch = () => {
    const from = now;
    return () => now - from;
  };
  const id = () => `mark-${++last}`;
  return {
    queue,
    wait: (ms: number) => {
      now += ms;
    },
    marks: () => createMarks({ context: { store, clock: { stopwatch }, entropy: { id } } satisfies Ports, census }),
  };
}

type Ports = Pick<Context, 'store'> & {
  readonly clock: Pick<Context['clock'], 'stopwatch'>;
  readonly entropy: Pick<Context['entropy'], 'id'>;
};
