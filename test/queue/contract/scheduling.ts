import { describe, expect, test } from 'vitest';
import { nextSlot, phaseOf } from '../../../src/core/cadence.ts';
import {
  calmIds,
  expectNear,
  HOUR_MS,
  jobsOf,
  openJobsOf,
  queueNamed,
  recorder,
  staysSo,
  waitUntil,
} from '../bench.ts';
import type { Suite } from '../queue.contract.ts';

const REPEATING = 'refresh-and-pull';

export function schedulingContract({ bench, place }: Suite): void {
  describe('scheduling', () => {
    test('makes exactly one repeating job, at the hashed phase of its period, with ids only in it', async () => {
      const { queue, newId } = bench();
      const id = newId();
      expect(await queue.isScheduled(id)).toBe(false);
      await queue.schedule({ authorizationId: id, periodMs: 6 * HOUR_MS });
      const offset = phaseOf({ id, periodMs: 6 * HOUR_MS });
      const scheduler = await queueNamed(bench(), REPEATING, id).getJobScheduler(id);
      expect(scheduler).toMatchObject({ every: 6 * HOUR_MS, offset });
      const jobs = await jobsOf(bench(), REPEATING, id);
      expect(jobs.map(({ name, data }) => ({ name, data }))).toEqual([
        { name: REPEATING, data: { authorizationId: id, reason: 'due' } },
      ]);
      expect(await queue.isScheduled(id)).toBe(true);
    });

    test('nextRunAt tells the slot that BullMQ has as next, and the job waits for exactly that', async () => {
      const { queue } = bench();
      const periods = [60_000, 7 * 60_000, HOUR_MS, 23 * HOUR_MS];
      for (const periodMs of periods) {
        const [id = ''] = calmIds(bench(), 1, periodMs === 60_000 ? [] : [periodMs]);
        await queue.schedule({ authorizationId: id, periodMs });
        const scheduler = await queueNamed(bench(), REPEATING, id).getJobScheduler(id);
        const told = queue.nextRunAt({ authorizationId: id, periodMs });
        expect(scheduler?.next).toBe(told);
        expect(told).toBe(nextSlot({ now: Date.now(), periodMs, phaseMs: phaseOf({ id, periodMs }) }));
        const [job] = await jobsOf(bench(), REPEATING, id);
        expectNear((job?.timestamp ?? 0) + (job?.delay ?? 0), told, 50);
      }
    });

    test('scheduling again changes nothing', async () => {
      const { queue } = bench();
      const [id = ''] = calmIds(bench(), 1, [HOUR_MS]);
      const look = async () => ({
        scheduler: await queueNamed(bench(), REPEATING, id).getJobScheduler(id),
        jobs: (await jobsOf(bench(), REPEATING, id)).map((job) => [job.id, job.timestamp, job.delay]),
      });
      await queue.schedule({ authorizationId: id, periodMs: HOUR_MS });
      const first = await look();
      for (let again = 0; again < 5; again += 1) await queue.schedule({ authorizationId: id, periodMs: HOUR_MS });
      expect(first.jobs).toHaveLength(1);
      expect(await look()).toEqual(first);
    });

    test('an authorization whose hash is 0 does not run at once', async () => {
      const { queue, newId } = bench();
      const { id, periodMs } = withoutPhase(newId('zero'));
      await queue.schedule({ authorizationId: id, periodMs });
      const [job] = await jobsOf(bench(), REPEATING, id);
      expect(await job?.getState()).toBe('delayed');
      expect(job?.delay).toBeGreaterThan(5_000);
      await queue.remove(id);
    });

    test('each slot runs once, not before its time', async () => {
      const { queue, newId, start } = bench();
      const periodMs = 400;
      const id = newId();
      const { definition, runsOf } = recorder(REPEATING);
      start([definition]);
      const phaseMs = phaseOf({ id, periodMs });
      await queue.schedule({ authorizationId: id, periodMs });
      await waitUntil('four runs', () => runsOf(id).length >= 4);
      await queue.unschedule(id);
      // Rounded by 10 ms, because the timer and the clock of the wall may differ by one.
      const slots = runsOf(id).map(({ at }) => Math.floor((at + 10 - phaseMs) / periodMs));
      expect(new Set(slots).size).toBe(slots.length);
      for (const { at } of runsOf(id)) expect((at + 10 - phaseMs) % periodMs).toBeLessThan(periodMs - 20);
    });

    test('100 new authorizations run nobody at once', async () => {
      const { queue, start } = bench();
      const ids = calmIds(bench(), 100, [HOUR_MS]);
      const { definition, runs } = recorder(REPEATING);
      start([definition]);
      await Promise.all(ids.map((id) => queue.schedule({ authorizationId: id, periodMs: HOUR_MS })));
      await staysSo(300, () => expect(runs).toEqual([]));
    });

    test('a changed period runs nobody at once: 100 authorizations, 0 runs in the next second, each at its new slot', async () => {
      const { queue, start } = bench();
      const ids = calmIds(bench(), 100, [HOUR_MS, 2 * HOUR_MS]);
      await Promise.all(ids.map((id) => queue.schedule({ authorizationId: id, periodMs: HOUR_MS })));
      const { definition, runs } = recorder(REPEATING);
      start([definition]);
      await Promise.all(ids.map((id) => queue.schedule({ authorizationId: id, periodMs: 2 * HOUR_MS })));
      await staysSo(1_000, () => expect(runs).toEqual([]));
      for (const id of ids) {
        const scheduler = await queueNamed(bench(), REPEATING, id).getJobScheduler(id);
        const next = queue.nextRunAt({ authorizationId: id, periodMs: 2 * HOUR_MS });
        expect(scheduler).toMatchObject({ every: 2 * HOUR_MS, next });
      }
      const queues = new Set(ids.map((id) => queueNamed(bench(), REPEATING, id)));
      const lists = await Promise.all([...queues].map((one) => one.getJobs(['delayed', 'waiting'], 0, 10_000)));
      expect(lists.flat().filter((job) => ids.includes(String(job.data['authorizationId'])))).toHaveLength(100);
    });

    test('control: a bare change of `every` runs them at once', async () => {
      const { queue, start } = bench();
      const ids = calmIds(bench(), 100, [HOUR_MS, 2 * HOUR_MS]);
      await Promise.all(ids.map((id) => queue.schedule({ authorizationId: id, periodMs: HOUR_MS })));
      const { definition, runs } = recorder(REPEATING);
      start([definition]);
      for (const id of ids) {
        const repeating = queueNamed(bench(), REPEATING, id);
        const data = { authorizationId: id, reason: 'due' };
        await repeating.upsertJobScheduler(id, { every: 2 * HOUR_MS }, { name: REPEATING, data });
      }
      await waitUntil('a run at once', () => runs.length > 0);
    });

    test('a repeating job that lost its pending run goes on at its next slot once it is scheduled again', async ({
      skip,
    }) => {
      const { losePending } = place();
      if (losePending === null) return skip('nobody gets at this database from outside');
      const { queue, newId, start } = bench();
      const periodMs = 700;
      const [id, intact] = [newId('lost'), newId('intact')];
      const { definition, runsOf } = recorder(REPEATING);
      start([definition]);
      for (const one of [id, intact]) await queue.schedule({ authorizationId: one, periodMs });
      await losePending(id);
      // Control: BullMQ itself never notices.
      await waitUntil('three runs of the other', () => runsOf(intact).length >= 3);
      expect(runsOf(id)).toEqual([]);
      await queue.schedule({ authorizationId: id, periodMs });
      await waitUntil('two runs', () => runsOf(id).length >= 2);
      for (const one of [id, intact]) await queue.unschedule(one);
    });

    test('a period changed from within its own run leaves one pending job, at the new slot', async () => {
      const { queue, newId, start } = bench();
      const id = newId();
      let changed = false;
      start([
        {
          queue: REPEATING,
          run: async () => {
            await queue.schedule({ authorizationId: id, periodMs: 24 * HOUR_MS });
            changed = true;
            return { kind: 'done', reason: 'changed' };
          },
        },
      ]);
      await queue.schedule({ authorizationId: id, periodMs: 300 });
      await waitUntil('the change', () => changed);
      await waitUntil('the run to end', async () => (await openJobsOf(bench(), REPEATING, id)).length === 1);
      const [job] = await openJobsOf(bench(), REPEATING, id);
      expectNear(
        (job?.timestamp ?? 0) + (job?.delay ?? 0),
        queue.nextRunAt({ authorizationId: id, periodMs: 24 * HOUR_MS }),
        50,
      );
    });
  });
}

/** An id whose phase is 0, in a period without a boundary close by, where it would rightly run. Looked for first: on a busy machine that takes some seconds. */
function withoutPhase(stem: string): { readonly id: string; readonly periodMs: number } {
  const found = [60_000, 61_000, 62_000].map((periodMs) => {
    let id = stem;
    for (let tries = 0; phaseOf({ id, periodMs }) !== 0; tries += 1) id = `${stem}-${tries}`;
    return { id, periodMs };
  });
  const [first] = found;
  if (first === undefined) throw new Error('no period');
  return found.find(({ periodMs }) => periodMs - (Date.now() % periodMs) > 15_000) ?? first;
}
