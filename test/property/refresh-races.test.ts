import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BROKEN } from '../support/model/broken.ts';
import { play } from '../support/model/fleet.ts';
import { brokenPromises } from '../support/model/judge.ts';
import type { Plan } from '../support/model/plan.ts';
import { calmPlans, mildPlans, wildPlans } from '../support/model/plans.ts';

/** A soak draws other schedules each time; an ordinary run plays the same ones, so that what fails is what was changed. */
const SEEDED = process.env['PERENNIAL_SOAK'] === '1' ? {} : { seed: 20_261_125 };
/** Schedules tried in an ordinary run, and in a soak. 0 broken of N bounds the rate by 3/N at 95 %. */
const SOAK = process.env['PERENNIAL_SOAK'] === '1';
const RUNS = SOAK ? { calm: 20_000, mild: 20_000, wild: 200_000 } : { calm: 300, mild: 600, wild: 1_500 };
/** Never tried again: each try draws other schedules, and the second would hide what the first has found. */
const ONCE = { retry: 0, timeout: SOAK ? 14_400_000 : 180_000 };
const CONTROL_RUNS = 3_000;

async function broken(plan: Plan): Promise<readonly string[]> {
  return brokenPromises(plan, await play(plan));
}

describe('refreshes that race', () => {
  test(
    'any number of workers and callers make one request of each due token, where nothing befalls them',
    ONCE,
    async () => {
      await fc.assert(
        fc.asyncProperty(calmPlans, async (plan) => {
          expect(await broken(plan)).toEqual([]);
        }),
        { numRuns: RUNS.calm },
      );
    },
  );

  test(
    'one crash, one freeze or one lost reply costs no authorization, unless the server is strict',
    ONCE,
    async () => {
      await fc.assert(
        fc.asyncProperty(mildPlans, async (plan) => {
          const history = await play(plan);
          expect(brokenPromises(plan, history)).toEqual([]);
          if (plan.policy === 'strict') return;
          expect(history.ends.map(({ authorization }) => authorization.state)).toEqual(
            history.ends.map(() => 'active'),
          );
        }),
        { numRuns: RUNS.mild },
      );
    },
  );

  test(
    'whatever befalls them, no token is spent unawares, no winner is overwritten, and no loss is silent',
    ONCE,
    async () => {
      await fc.assert(
        fc.asyncProperty(wildPlans, async (plan) => {
          expect(await broken(plan)).toEqual([]);
        }),
        { numRuns: RUNS.wild, ...SEEDED },
      );
    },
  );
});

describe('schedules find', () => {
  test.each(Object.entries(BROKEN))('%s', async (_name, { variant, finds }) => {
    const found = await fc.check(
      fc.asyncProperty(
        wildPlans,
        async (plan) => !brokenPromises(plan, await play(plan, variant)).some((text) => finds.test(text)),
      ),
      { numRuns: CONTROL_RUNS, endOnFailure: true },
    );
    expect(found.failed).toBe(true);
  });
});
