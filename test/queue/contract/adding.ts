import { describe, expect, test } from 'vitest';
import { type Bench, gate, HOUR_MS, jobsOf, openJobsOf, recorder, staysSo, waitUntil } from '../bench.ts';
import type { Suite } from '../queue.contract.ts';

export function addingContract({ bench }: Suite): void {
  describe('adding', () => {
    test('twice makes one job, with ids only in it', async () => {
      const { queue, newId } = bench();
      const id = newId();
      for (const reason of ['accepted', 'repaired'] as const) {
        await queue.add({ queue: 'fetch-once', authorizationId: id, reason });
      }
      const jobs = await jobsOf(bench(), 'fetch-once', id);
      expect(jobs.map(({ data }) => data)).toEqual([{ authorizationId: id, reason: 'accepted' }]);
    });

    test('20 at the same time make one job', async () => {
      const { queue, newId } = bench();
      const id = newId();
      const add = () => queue.add({ queue: 'activate', authorizationId: id, reason: 'accepted' });
      await Promise.all(Array.from({ length: 20 }, add));
      expect(await jobsOf(bench(), 'activate', id)).toHaveLength(1);
    });

    test('an id that is a number is as good as any', async () => {
      const { queue, start } = bench();
      const { definition, runsOf } = recorder('activate');
      start([definition]);
      await queue.add({ queue: 'activate', authorizationId: '4711', reason: 'accepted' });
      await waitUntil('the run', () => runsOf('4711').length === 1);
      await queue.schedule({ authorizationId: '4711', periodMs: HOUR_MS });
      expect(await queue.isScheduled('4711')).toBe(true);
      await queue.remove('4711');
    });

    test('one that waits for later comes at its time', async () => {
      const { queue, newId, start } = bench();
      const id = newId();
      const { definition, runsOf } = recorder('purge');
      start([definition]);
      const addedAt = Date.now();
      await queue.add({ queue: 'purge', authorizationId: id, reason: 'due', delayMs: 400 });
      await waitUntil('the run', () => runsOf(id).length === 1);
      expect((runsOf(id)[0]?.at ?? 0) - addedAt).toBeGreaterThanOrEqual(380);
    });

    test('again while it is delayed makes it due now', async () => {
      const { queue, newId, start } = bench();
      const id = newId();
      const { definition, runsOf } = recorder('purge');
      start([definition]);
      await queue.add({ queue: 'purge', authorizationId: id, reason: 'due', delayMs: HOUR_MS });
      expect(await (await jobsOf(bench(), 'purge', id))[0]?.getState()).toBe('delayed');
      await queue.add({ queue: 'purge', authorizationId: id, reason: 'asked_for' });
      await waitUntil(
        'its end',
        async () => runsOf(id).length === 1 && (await jobsOf(bench(), 'purge', id)).length === 0,
      );
    });

    test('a plan does not put off a job that waits for its turn because somebody asked for it', async () => {
      const reason = 'asked_for';
      const { queue, newId, start } = bench();
      const [wish, planned] = [newId('wish'), newId('planned')];
      await queue.add({ queue: 'refresh-and-pull', authorizationId: wish, reason, delayMs: HOUR_MS });
      await queue.add({ queue: 'refresh-and-pull', authorizationId: planned, reason: 'due', delayMs: HOUR_MS });
      const later = 2 * HOUR_MS;
      for (const authorizationId of [wish, planned])
        await queue.add({ queue: 'refresh-and-pull', authorizationId, reason: 'repaired', delayMs: later });
      expect(await waitOf(bench(), wish)).toStrictEqual({ reason, delayMs: HOUR_MS });
      // What was planned is put off by the same.
      expect(await waitOf(bench(), planned)).toMatchObject({ delayMs: later });
      await queue.add({ queue: 'refresh-and-pull', authorizationId: wish, reason });
      const { definition, runsOf } = recorder('refresh-and-pull');
      start([definition]);
      await waitUntil('the run that was wished for', () => runsOf(wish).length === 1);
      expect(runsOf(planned)).toEqual([]);
    });

    test('a wish takes the place of a plan, and says so', async () => {
      const { queue, newId } = bench();
      const id = newId();
      await queue.add({ queue: 'refresh-and-pull', authorizationId: id, reason: 'due', delayMs: HOUR_MS });
      await queue.add({ queue: 'refresh-and-pull', authorizationId: id, reason: 'asked_for' });
      expect(await waitOf(bench(), id)).toStrictEqual({ reason: 'asked_for', delayMs: 0 });
    });

    test('a wish is taken along by a job that waits for a worker', async () => {
      const { queue, newId } = bench();
      const id = newId();
      await queue.add({ queue: 'refresh-and-pull', authorizationId: id, reason: 'accepted' });
      await queue.add({ queue: 'refresh-and-pull', authorizationId: id, reason: 'asked_for' });
      await queue.add({ queue: 'refresh-and-pull', authorizationId: id, reason: 'repaired' });
      expect(await waitOf(bench(), id)).toStrictEqual({ reason: 'asked_for', delayMs: 0 });
    });

    test.each(['told', 'doubted'] as const)(
      'what is %s brings a wish forward that waits for its turn, and leaves it a wish',
      async (reason) => {
        const { queue, newId } = bench();
        const id = newId();
        await queue.add({ queue: 'refresh-and-pull', authorizationId: id, reason: 'asked_for', delayMs: HOUR_MS });
        await queue.add({ queue: 'refresh-and-pull', authorizationId: id, reason });
        expect(await waitOf(bench(), id)).toStrictEqual({ reason: 'asked_for', delayMs: 0 });
      },
    );

    test('news that wait for a worker are not put off by a plan', async () => {
      const { queue, newId } = bench();
      const id = newId();
      await queue.add({ queue: 'refresh-and-pull', authorizationId: id, reason: 'told' });
      await queue.add({ queue: 'refresh-and-pull', authorizationId: id, reason: 'repaired', delayMs: HOUR_MS });
      expect(await waitOf(bench(), id)).toStrictEqual({ reason: 'told', delayMs: 0 });
    });

    test('is noticed within 2 s by a worker that is idle and knows of a job in an hour', async () => {
      const { queue, newId, start } = bench();
      const [far, id] = [newId('far'), newId('near')];
      const { definition, runsOf } = recorder('purge');
      start([definition]);
      await queue.add({ queue: 'purge', authorizationId: far, reason: 'due', delayMs: HOUR_MS });
      // Long enough for every worker to have gone to sleep over it.
      await staysSo(1_200, () => expect(runsOf(far)).toEqual([]));
      const addedAt = Date.now();
      await queue.add({ queue: 'purge', authorizationId: id, reason: 'due' });
      await waitUntil('the run', () => runsOf(id).length === 1);
      expect((runsOf(id)[0]?.at ?? 0) - addedAt).toBeLessThan(2_000);
    });

    test('while it runs adds none', async () => {
      const { queue, newId, start } = bench();
      const id = newId();
      const { opened, open } = gate();
      let runs = 0;
      start([
        {
          queue: 'purge',
          run: async () => {
            runs += 1;
            await opened;
            return { kind: 'done', reason: 'x' };
          },
        },
      ]);
      await queue.add({ queue: 'purge', authorizationId: id, reason: 'accepted' });
      await waitUntil('the run', () => runs === 1);
      await queue.add({ queue: 'purge', authorizationId: id, reason: 'repaired' });
      open();
      await waitUntil('its end', async () => (await jobsOf(bench(), 'purge', id)).length === 0);
      await staysSo(200, () => expect(runs).toBe(1));
    });

    test('works again after one failed and after one was done', async () => {
      const { queue, newId, start } = bench();
      const id = newId();
      let runs = 0;
      start([
        {
          queue: 'activate',
          run: async () => {
            runs += 1;
            return runs === 1 ? { kind: 'failed', code: 'unknown_source' } : { kind: 'done', reason: 'x' };
          },
        },
      ]);
      const add = () => queue.add({ queue: 'activate', authorizationId: id, reason: 'repaired' });
      const states = async () => Promise.all((await jobsOf(bench(), 'activate', id)).map((job) => job.getState()));
      await add();
      await waitUntil('the failure', async () => (await states())[0] === 'failed');
      await add();
      await waitUntil('the second end', async () => runs === 2 && (await states())[0] === 'completed');
      await add();
      await waitUntil('the third run', () => runs === 3);
      expect(await jobsOf(bench(), 'activate', id)).toHaveLength(1);
    });

    test('adding and running in a race never fails and never runs one twice at once', async () => {
      const { queue, newId, start } = bench();
      const id = newId();
      let inside = 0;
      let most = 0;
      let runs = 0;
      start([
        {
          queue: 'purge',
          run: async () => {
            inside += 1;
            runs += 1;
            most = Math.max(most, inside);
            await new Promise((resolve) => setImmediate(resolve));
            inside -= 1;
            return runs % 3 === 0
              ? { kind: 'again', afterWallMs: 1, reason: 'x' }
              : runs % 3 === 1
                ? { kind: 'failed', code: 'internal' }
                : { kind: 'done', reason: 'x' };
          },
        },
      ]);
      const add = (delayMs: number) => queue.add({ queue: 'purge', authorizationId: id, reason: 'repaired', delayMs });
      for (let round = 0; round < 60; round += 1) await Promise.all([add(round % 4), add(0)]);
      await waitUntil('the last run', async () => (await openJobsOf(bench(), 'purge', id)).length === 0);
      expect(runs).toBeGreaterThan(0);
      expect(most).toBe(1);
    });
  });
}

/** Why the authorization's one job waits, and for how long. */
async function waitOf(bench: Bench, id: string) {
  const [job, ...others] = await jobsOf(bench, 'refresh-and-pull', id);
  expect(others).toEqual([]);
  return { reason: job?.data['reason'], delayMs: job?.delay };
}
