import { afterAll, beforeAll, expect, test } from 'vitest';
import { runSweeper } from '../../jobs/sweeper.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { catchUp } from '../../src/flows/catch-up.ts';
import type { Context } from '../../src/flows/context.ts';
import { type House, openHouse } from '../support/house.ts';
import { bestPlace, type Place } from '../support/system-places.ts';
import { until } from '../support/system-until.ts';
import { sourcesOf, startWorld, type World } from '../support/world.ts';

let world: World;
let place: Place;
let house: House;

beforeAll(async () => {
  world = await startWorld();
  place = await bestPlace();
  house = await openHouse({ place, world, sources: sourcesOf(world) });
});

afterAll(async () => {
  await house.close();
  await world.close();
  await place.close();
});

const withStore = (store: Partial<Context['store']>): Context => ({
  ...house.context,
  store: { ...house.context.store, ...store },
});

test('purges, open tokens and ends are looked for while the catch-up lasts, overdue runs after it', async () => {
  const { store } = house.context;
  const asked = new Set<string>();
  const context = withStore({
    duePurges: (query) => store.duePurges(query).finally(() => asked.add('purges')),
    orphanIntents: (query) => store.orphanIntents(query).finally(() => asked.add('tokens')),
    dueWarnings: (query) => store.dueWarnings(query).finally(() => asked.add('ends')),
    overdueRuns: (query) => store.overdueRuns(query).finally(() => asked.add('runs')),
  });
  const caughtUp = Promise.withResolvers<void>();
  const stopping = new AbortController();
  const sweeping = runSweeper({ context, signal: stopping.signal, caughtUp: caughtUp.promise });
  await until(
    'the urgent looks',
    () => [...asked].toSorted(),
    (names) => names.length >= 3,
  );
  expect([...asked].toSorted()).toEqual(['ends', 'purges', 'tokens']);
  caughtUp.resolve();
  await until(
    'the look for runs',
    () => asked.has('runs'),
    (has) => has,
  );
  stopping.abort();
  await sweeping;
});

test('of two looks of one worker that find a fleet overdue one plans, and the other leaves it to that', async () => {
  const planning = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  let overdue = LIMITS.catchUpAbove + 1;
  const context = withStore({
    countOverdue: async () => overdue,
    overdueByDeadline: async () => {
      begun.resolve();
      await planning.promise;
      return [];
    },
  });
  const look = () => catchUp({ context, signal: new AbortController().signal, waits: false });
  const first = look();
  await begun.promise;
  expect(await look()).toBe('elsewhere');
  planning.resolve();
  expect(await first).toBe('planned');
  overdue = 0;
  expect(await look()).toBe('few');
});

test('endpoints where nobody pulls any more are looked for each time that room is given back', async () => {
  const { clock, store } = house.context;
  const asked: number[] = [];
  const sleep: typeof clock.sleep = (wallMs, signal) =>
    clock.sleep(wallMs === LIMITS.reclaimEveryMs ? 1 : wallMs, signal);
  const forgetProfiles: typeof store.forgetProfiles = async ({ before }) => asked.push(before);
  const context = { ...withStore({ forgetProfiles }), clock: { ...clock, sleep } };
  const stopping = new AbortController();
  const sweeping = runSweeper({ context, signal: stopping.signal, caughtUp: Promise.resolve() });
  await until(
    'two looks',
    () => asked.length,
    (looks) => looks >= 2,
  );
  stopping.abort();
  await sweeping;
  expect(asked.every((before) => before < clock.now())).toBe(true);
});
