import { expect, test } from 'vitest';
import { LIMITS } from '../../src/core/limits.ts';
import { bringRun } from '../../src/flows/bring-run.ts';
import { clockAt } from '../upstream/clock.ts';

/** Brings a run while the queue answers as it is told; counts what it was asked. */
async function brought({ runsFor, awaitsRun }: { readonly runsFor: number; readonly awaitsRun: boolean }) {
  let [added, asked, sleptMs] = [0, 0, 0];
  const clock = {
    ...clockAt(() => 0),
    sleep: async (wallMs: number) => {
      sleptMs += wallMs;
    },
  };
  const queue = { add: async () => (added++ < runsFor ? ('runs' as const) : ('waits' as const)) };
  const store = {
    awaitsRun: async () => {
      asked += 1;
      return awaitsRun;
    },
  };
  await bringRun({ context: { queue, store, clock }, authorizationId: 'a', reason: 'told', at: 0 });
  return { added, asked, sleptMs };
}

test('a job that waits is enough', async () => {
  expect(await brought({ runsFor: 0, awaitsRun: true })).toStrictEqual({ added: 1, asked: 0, sleptMs: 0 });
});

test('a run that will see it is enough, and nobody waits for it', async () => {
  expect(await brought({ runsFor: 1_000, awaitsRun: false })).toStrictEqual({ added: 1, asked: 1, sleptMs: 0 });
});

test('a job that ends is waited for, and a new one is added', async () => {
  const sleptMs = LIMITS.runEndWaitsMs.slice(0, 3).reduce((sum, ms) => sum + ms, 0);
  expect(await brought({ runsFor: 3, awaitsRun: true })).toStrictEqual({ added: 4, asked: 3, sleptMs });
});

test('one that does not end is left to the sweep within a second', async () => {
  const { added, sleptMs } = await brought({ runsFor: 1_000, awaitsRun: true });
  expect(added).toBe(1 + LIMITS.runEndWaitsMs.length);
  expect(sleptMs).toBeLessThanOrEqual(1_000);
});
