import { expect, test } from 'vitest';
import type { Authorization } from '../../src/core/authorization.ts';
import { UNITS } from '../../src/core/limits.ts';
import { createLearner, type Learner } from '../../src/flows/learn.ts';
import { authorizationOf } from '../support/model/accept.ts';
import { createStoreModel } from '../support/model/store.ts';
import { createLogMemory } from '../support/web.ts';

const { HOUR_MS, DAY_MS } = UNITS;
const PERIOD_MS = 6 * HOUR_MS;
const BATCH_MS = 2 * HOUR_MS;
/** Midnight of some day. */
const START = Math.floor(1_800_000_000_000 / DAY_MS) * DAY_MS;

/** A store, and a process that learns by it on a clock that stands where it is put. */
function installation() {
  const at = { now: START };
  const { store } = createStoreModel({ now: () => at.now });
  const { log, lines } = createLogMemory();
  const clock = { now: () => at.now, toWallMs: (ms: number) => ms };
  const learner = () => createLearner({ store, clock, cadence: { networks: {}, endpoints: {} }, log });
  return { at, store, lines, learner };
}

/** Ten days of 20 patients whose endpoint changes all of them each night at two. */
async function learnNights({ at, learner }: { readonly at: { now: number }; readonly learner: Learner }) {
  const patients: readonly Authorization[] = Array.from({ length: 20 }, (_, index) => ({
    ...authorizationOf(`patient-${index}`),
    phase: index / 20,
  }));
  for (let slot = 1; slot < 40; slot += 1) {
    for (const authorization of patients) {
      const to = START + (slot + authorization.phase) * PERIOD_MS;
      const from = to - PERIOD_MS;
      const night = Math.floor((to - BATCH_MS) / DAY_MS) * DAY_MS + BATCH_MS;
      at.now = to;
      await learner.learn({ authorization, from, to, changed: night > from });
    }
  }
  return patients;
}

test('what a process has learned of a nightly batch, another plans by: it pulls soon after', async () => {
  const { at, learner } = installation();
  const first = learner();
  const [patient] = await learnNights({ at, learner: first });
  await first.settle();
  const second = learner();
  const noon = Math.floor(at.now / DAY_MS) * DAY_MS + DAY_MS / 2;
  const plannedAt = await second.plan({ authorization: patient ?? authorizationOf('x'), pulledAt: noon });
  const night = noon + DAY_MS / 2 + BATCH_MS;
  expect(plannedAt).toBeGreaterThan(night);
  expect(plannedAt).toBeLessThan(night + 3 * HOUR_MS);
});

test('an endpoint of which little is known keeps its period', async () => {
  const { at, learner } = installation();
  const one = learner();
  await learnNights({ at, learner: one });
  const stranger = { ...authorizationOf('stranger'), endpoint: { id: 'elsewhere' } };
  expect(await one.plan({ authorization: stranger, pulledAt: at.now })).toBeNull();
  await one.learn({ authorization: stranger, from: at.now - PERIOD_MS, to: at.now, changed: true });
  expect(await one.plan({ authorization: stranger, pulledAt: at.now })).toBeNull();
});

test('a caller who names a period gets it, whatever was learned', async () => {
  const { at, learner } = installation();
  const one = learner();
  const [patient] = await learnNights({ at, learner: one });
  const named = { ...(patient ?? authorizationOf('x')), cadence: { pullEveryMs: PERIOD_MS } };
  expect(await one.plan({ authorization: named, pulledAt: at.now })).toBeNull();
});

test('a store that is away costs what was to be learned, and no run', async () => {
  const { at, store, lines } = installation();
  const { log, lines: warnings } = createLogMemory();
  const away = async (): Promise<never> => {
    throw new Error('away');
  };
  const clock = { now: () => at.now, toWallMs: (ms: number) => ms };
  const broken = { ...store, learnChanges: away, changeProfiles: away };
  const learner = createLearner({ store: broken, clock, cadence: { networks: {}, endpoints: {} }, log });
  const authorization = authorizationOf('patient');
  await learner.learn({ authorization, from: START, to: START + HOUR_MS, changed: true });
  expect(await learner.plan({ authorization, pulledAt: START })).toBeNull();
  await learner.settle();
  expect(warnings.map(({ event }) => event)).toEqual(['learning_failed', 'learning_failed']);
  expect(lines).toEqual([]);
});

test('pulls that come close together are written down together, and nothing is lost at the end', async () => {
  const { at, store, learner } = installation();
  let writes = 0;
  const counting = {
    ...store,
    learnChanges: (value: Parameters<typeof store.learnChanges>[0]) => {
      writes += 1;
      return store.learnChanges(value);
    },
  };
  const { log } = createLogMemory();
  const clock = { now: () => at.now, toWallMs: (ms: number) => ms };
  const one = createLearner({ store: counting, clock, cadence: { networks: {}, endpoints: {} }, log });
  for (let index = 0; index < 100; index += 1) {
    const authorization = authorizationOf(`patient-${index}`);
    await one.learn({ authorization, from: START - HOUR_MS, to: START, changed: false });
  }
  expect(writes).toBe(1);
  await one.settle();
  expect(writes).toBe(2);
  const [{ profile } = { profile: null }] = await store.changeProfiles();
  expect(profile?.watchedHours.reduce((sum, hours) => sum + hours, 0)).toBeCloseTo(100, 6);
  expect(await learner().plan({ authorization: authorizationOf('x'), pulledAt: START })).toBeNull();
});
