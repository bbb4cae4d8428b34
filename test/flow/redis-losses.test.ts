import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { UNITS } from '../../src/core/limits.ts';
import { purgesOf } from '../../src/flows/fleet.ts';
import { createService } from '../../src/flows/serve.ts';
import type { TestPostgres } from '../support/databases.ts';
import { makeDueAtOnce } from '../support/due-at-once.ts';
import { ANY_LINK, type Losses, openLosses, type StoreChange } from '../support/losses-stage.ts';
import { canStartRedis } from '../support/own-redis.ts';
import { findServices, missingOf } from '../support/system-places.ts';
import { until } from '../support/system-until.ts';
import { askingForReconciler, lookingForPurges, withoutPlans } from '../support/worker-faults.ts';

const { SECOND_MS, HOUR_MS } = UNITS;
const services = await findServices();
const { postgres } = services;
/** One sweep is a second; the rest is a busy machine's. */
const LATE_MS = 10 * SECOND_MS;
const PURGES = 12;
const FLUSHED_PURGES = 24;
/** How much longer a control watches than the real thing took. */
const LOOKS_MORE = 3;

const named = (stem: string, count: number) => Array.from({ length: count }, (_, index) => `${stem}-${index}`);
/** Their slots come before Redis is lost, while it is lost, and when it is back; those of the others hours later. */
const EARLY = named('early', 8);
const MISSED = named('missed', 6);
const SOON = named('soon', 6);
const CHANGED = named('changed', 3);
const ENDED_EARLY = 'ended-early';
const ENDED = [ENDED_EARLY, 'ended-far'];
const FAR = [...named('far', 5), ...CHANGED, 'ended-far'];
const SINCE = 'since-the-copy';
const ONCE = Object.fromEntries([...EARLY, ...MISSED, ...SOON, ENDED_EARLY].map((id) => [id, 1]));

if (postgres === null || !canStartRedis) {
  describe.skip(`a Redis that loses something ${missingOf(services)}`, () => {
    test('loses nothing that was promised', () => undefined);
  });
} else {
  restoredFromYesterday(postgres);
  flushed(postgres);
}

function restoredFromYesterday(postgres: TestPostgres): void {
  describe('a Redis restored from yesterday', () => {
    let stage: Losses;
    let purgesDueAt: number;
    let asksToHeal = 10;
    beforeAll(async () => {
      stage = await openLosses(postgres);
      purgesDueAt = await liveADay(stage);
    }, 60_000);
    afterAll(() => stage?.close(), 60_000);

    test('has every schedule right again, and nothing ran twice or was purged late', async () => {
      const { context } = stage.composition;
      await stage.restoreRedis();
      // What the copy has to lack for all this to say anything.
      const stale = (await stage.wrongs()).join('; ');
      for (const id of [...EARLY, ...CHANGED, SINCE]) expect(stale).toContain(`${id} has another scheduler`);
      for (const id of ENDED) expect(stale).toContain(`${id} is nobody's`);
      const asks = askingForReconciler({ refused: false });
      const worker = await stage.deploy(asks.change);
      await until(
        'all that is due has run',
        () => countsOf(stage),
        (ran) => Object.keys(ran).length === Object.keys(ONCE).length,
      );
      await until('the schedules are right', stage.wrongs, (wrong) => wrong.length === 0);
      asksToHeal = asks.count();
      await receipts(stage, PURGES + ENDED.length);
      await worker.stop();
      expect(countsOf(stage)).toEqual(ONCE);
      await expectInTime(stage, { count: PURGES, dueAt: purgesDueAt });
      expect(await context.queue.traces('ended-far')).toBe(0);
    }, 60_000);

    test('control: without the reconciler its schedules stay wrong, and the plans alone keep all from running twice', async () => {
      const before = countsOf(stage);
      await stage.restoreRedis();
      const asks = askingForReconciler({ refused: true });
      const worker = await stage.deploy(asks.change);
      await until('as many passes', asks.count, (count) => count >= asksToHeal + LOOKS_MORE);
      const wrong = (await stage.wrongs()).join('; ');
      for (const id of [...CHANGED, SINCE]) expect(wrong).toContain(`${id} has another scheduler`);
      expect(wrong).toContain("ended-far is nobody's");
      await worker.stop();
      for (const id of EARLY) expect(countsOf(stage)[id]).toBe(before[id]);
    }, 60_000);

    test('control: without the plans of the store, what ran since the copy runs again', async () => {
      const before = countsOf(stage);
      await stage.restoreRedis();
      const worker = await stage.deploy(withoutPlans);
      const again = () => EARLY.filter((id) => countsOf(stage)[id] === (before[id] ?? 0) + 1);
      await until('all to run again', again, (ids) => ids.length === EARLY.length);
      await worker.stop();
    }, 60_000);

    test('who was purged since the copy is named nowhere any more, though a job of theirs was overdue in it', async () => {
      const { store, queue } = stage.composition.context;
      await stage.restoreRedis();
      const first = await stage.deploy();
      await receipts(stage, PURGES + ENDED.length);
      await first.stop();
      // Now the copy has purges in it whose receipts are older than the worker that finds them.
      await stage.restoreRedis();
      const restoredAt = performance.now();
      const worker = await stage.deploy();
      const isOver = (agoMs = Number.POSITIVE_INFINITY) => agoMs < performance.now() - restoredAt;
      await until('a whole pass', store.reconciled, ({ lastPass }) => isOver(lastPass?.agoMs));
      const named = () => Promise.all([ENDED_EARLY, 'due-0'].map(queue.traces));
      await until('nothing to name them', named, (traces) => traces.every((count) => count === 0));
      await worker.stop();
    }, 60_000);
  });
}

function flushed(postgres: TestPostgres): void {
  describe('after FLUSHALL', () => {
    let stage: Losses;
    let looksToEnd = 10;
    beforeEach(async () => {
      stage = await openLosses(postgres);
    }, 60_000);
    afterEach(() => stage?.close(), 60_000);

    test(`${FLUSHED_PURGES} purges that were due a moment later have their receipts in time`, async () => {
      const looks = lookingForPurges({ refused: false });
      const dueAt = await flushBeforePurges(stage, looks.change);
      looks.reset();
      await receipts(stage, FLUSHED_PURGES);
      looksToEnd = looks.count();
      await expectInTime(stage, { count: FLUSHED_PURGES, dueAt });
    }, 60_000);

    test('control: without the sweep of purges none of them has a receipt', async () => {
      const looks = lookingForPurges({ refused: true });
      await flushBeforePurges(stage, looks.change);
      looks.reset();
      await until('as many looks', looks.count, (count) => count >= looksToEnd + LOOKS_MORE);
      const purges = await purgesOf(stage.composition.context);
      expect(purges.ended).toBe(0);
      expect(purges.oldestUnpurgedSeconds).toBeGreaterThan(0);
    }, 60_000);

    test('control: schedules that the reconciler brings back stay gone without it', async () => {
      const { redis, wrongs } = stage;
      await stage.accept(FAR);
      await stage.place(slotsOf(stage, FAR, 7 * HOUR_MS));
      const [real, none] = [askingForReconciler({ refused: false }), askingForReconciler({ refused: true })];
      const worker = await stage.deploy(real.change);
      await until('the first pass', stage.composition.context.store.reconciled, ({ lastPass }) => lastPass !== null);
      await redis.flushall();
      expect(await wrongs()).toHaveLength(FAR.length);
      real.reset();
      await until('they are back', wrongs, (wrong) => wrong.length === 0);
      const asksToHeal = real.count();
      await worker.stop();
      await stage.deploy(none.change);
      await redis.flushall();
      none.reset();
      await until('as many passes', none.count, (count) => count >= asksToHeal + LOOKS_MORE);
      expect(await wrongs()).toHaveLength(FAR.length);
    }, 60_000);
  });
}

function receipts({ composition: { context } }: Losses, count: number) {
  return until(
    'the receipts',
    () => purgesOf(context),
    ({ ended }) => ended === count,
  );
}

function countsOf({ refreshes }: Losses): Readonly<Record<string, number>> {
  return Object.fromEntries([...Map.groupBy(refreshes, ({ id }) => id)].map(([id, all]) => [id, all.length]));
}

function slotsOf({ composition }: Losses, ids: readonly string[], inMs: number): ReadonlyMap<string, number> {
  const from = composition.context.clock.now() + inMs;
  return new Map(ids.map((id, index) => [id, from + 50 * index]));
}

/** Those of {@link makeDueAtOnce}. */
async function expectInTime(stage: Losses, { count, dueAt }: { readonly count: number; readonly dueAt: number }) {
  for (const id of named('due', count)) {
    const receipt = await stage.composition.context.store.receipt(id);
    expect(receipt?.dueAt).toBe(dueAt);
    const lateMs = (receipt?.purgedAt ?? Number.NaN) - dueAt;
    expect(lateMs).toBeGreaterThanOrEqual(0);
    expect(lateMs).toBeLessThan(LATE_MS);
  }
}

/** Wipes Redis half a second before purges are due; resolves when they are. */
async function flushBeforePurges({ composition: { context }, deploy, redis }: Losses, change: StoreChange) {
  const { clock } = context;
  await deploy(change);
  const dueAt = await makeDueAtOnce({ context, link: ANY_LINK, count: FLUSHED_PURGES, inMs: 3 * SECOND_MS });
  await until('half a second before', clock.now, (now) => now > dueAt - SECOND_MS / 2, { everyMs: 10 });
  await redis.flushall();
  expect(clock.now(), 'a moment before').toBeLessThan(dueAt);
  await until('they are due', clock.now, (now) => now > dueAt);
  return dueAt;
}

/** Makes the copy of Redis, and lets happen what the copy does not know. Ends without a worker, with the slots of {@link MISSED} past; gives the instant of the purges. */
async function liveADay(stage: Losses): Promise<number> {
  const { context } = stage.composition;
  const { store, clock } = context;
  const all = [...EARLY, ...MISSED, ...SOON, ...FAR, ENDED_EARLY];
  await stage.accept(all);
  await stage.place(slotsOf(stage, all, 7 * HOUR_MS));
  const worker = await stage.deploy();
  await until('the first pass', store.reconciled, ({ lastPass }) => lastPass !== null);
  const dueAt = await makeDueAtOnce({ context, link: ANY_LINK, count: PURGES, inMs: 10 * SECOND_MS });
  const missed = slotsOf(stage, MISSED, 6 * SECOND_MS);
  await stage.place(new Map([...slotsOf(stage, [...EARLY, ENDED_EARLY], 3 * SECOND_MS), ...missed]));
  await stage.place(slotsOf(stage, SOON, 9 * SECOND_MS));
  await stage.copyRedis();
  expect(stage.refreshes, 'nothing had run when the copy was made').toEqual([]);
  await stage.accept([SINCE]);
  await stage.place(slotsOf(stage, [SINCE], 7 * HOUR_MS));
  await stage.sql('update perennial.authorizations set period_ms = $1, cadence = $2 where id = any ($3)', [
    6 * HOUR_MS,
    JSON.stringify({ pullEveryMs: 6 * HOUR_MS }),
    CHANGED,
  ]);
  await stage.place(slotsOf(stage, CHANGED, 3 * HOUR_MS));
  await until(
    'the early ones have run, and are planned anew',
    () => store.plansOf([...EARLY, ENDED_EARLY]),
    (plans) => plans.every(({ nextRunAt }) => (nextRunAt ?? 0) > clock.now() + HOUR_MS),
  );
  for (const id of ENDED) await createService(context).requestPurge({ id, actor: 'test' });
  await until(
    'both have ended',
    () => store.plansOf(ENDED),
    (plans) => plans.every(({ state }) => state === 'purged'),
  );
  await worker.stop();
  await until('the slots in the downtime', clock.now, (now) => now > Math.max(...missed.values()));
  return dueAt;
}
