import { describe, expect, test } from 'vitest';
import type { JobOutcome } from '../../../src/core/ports/queue.ts';
import { gate, HOUR_MS, intakeOf, jobsOf, openJobsOf, waitUntil } from '../bench.ts';
import type { Suite } from '../queue.contract.ts';

const PUT_BACK: JobOutcome = { kind: 'again', afterWallMs: HOUR_MS, reason: 'x' };
const FAILED: JobOutcome = { kind: 'failed', code: 'unknown_source' };
const DONE: JobOutcome = { kind: 'done', reason: 'x' };

export function sweepingContract({ bench, place }: Suite): void {
  /** A life in all queues: handed in, refused, fetched, run by the clock, put back, failed, planned. */
  const live = async (ids: readonly string[]) => {
    const { queue, start } = bench();
    for (const id of ids) {
      for (const name of ['accept', 'cancel', 'put-back'])
        await intakeOf(bench()).add(name, { authorizationId: id, service: 'test' });
      await queue.schedule({ authorizationId: id, periodMs: 300 });
      for (const name of ['activate', 'fetch-once'] as const)
        await queue.add({ queue: name, authorizationId: id, reason: 'accepted' });
      await queue.add({ queue: 'refresh-and-pull', authorizationId: id, reason: 'asked_for' });
      await queue.add({ queue: 'purge', authorizationId: id, reason: 'due', delayMs: HOUR_MS });
    }
    let runs = 0;
    const consumers = start([
      { queue: 'intake', run: async ({ name }) => ({ accept: DONE, cancel: FAILED })[name] ?? PUT_BACK },
      { queue: 'activate', run: async () => FAILED },
      { queue: 'fetch-once', run: async () => DONE },
      { queue: 'refresh-and-pull', run: async () => [DONE, FAILED, PUT_BACK][runs++ % 3] ?? DONE },
    ]);
    const ranEnough = async (id: string) => {
      const ended = (await jobsOf(bench(), 'refresh-and-pull', id)).filter((job) => job.processedOn !== undefined);
      const one = await jobsOf(bench(), 'fetch-once', id);
      return ended.length >= 4 && one.every((job) => job.finishedOn !== undefined);
    };
    await waitUntil('several runs of each', async () => (await Promise.all(ids.map(ranEnough))).every(Boolean));
    await consumers.close({ force: false });
    for (const id of ids) for (const job of await jobsOf(bench(), 'activate', id)) await job.log(`of ${id}`);
  };

  describe('sweeping', () => {
    test('leaves nothing at all that names the authorization, in any state of any queue, and another keeps its jobs', async () => {
      const { queue, newId } = bench();
      const [swept, removed, other] = [newId('swept'), newId('removed'), newId('other')];
      await live([swept, removed, other]);
      const before = (await jobsOf(bench(), 'refresh-and-pull', other)).length;
      expect(await queue.traces(swept)).toBeGreaterThan(12);
      // Control: `remove` takes the jobs and leaves what tells of them.
      await queue.remove(removed);
      expect(await queue.traces(removed)).toBeGreaterThan(0);
      const { tracesOf } = place();
      if (tracesOf !== null) expect((await tracesOf(removed)).map((trace) => trace.split(' ')[0])).toContain('events');

      const { jobs, events } = await queue.sweep(swept);
      expect(jobs).toBeGreaterThan(8);
      expect(events).toBeGreaterThan(8);
      expect(await queue.traces(swept)).toBe(0);
      if (tracesOf !== null) expect(await tracesOf(swept)).toEqual([]);
      expect(await queue.sweep(swept)).toEqual({ jobs: 0, events: 0 });

      expect(await queue.isScheduled(other)).toBe(true);
      expect(await jobsOf(bench(), 'refresh-and-pull', other)).toHaveLength(before);
      expect(await queue.traces(other)).toBeGreaterThan(0);
      await queue.sweep(other);
      await queue.sweep(removed);
      if (tracesOf !== null) expect([...(await tracesOf(other)), ...(await tracesOf(removed))]).toEqual([]);
    });

    test('an authorization that the queues never had leaves nothing and takes nothing', async () => {
      const { queue, newId } = bench();
      const id = newId();
      expect([await queue.sweep(id), await queue.traces(id)]).toEqual([{ jobs: 0, events: 0 }, 0]);
    });

    test('an id that begins like another is not the other', async () => {
      const { queue, newId } = bench();
      const id = newId('long');
      const longer = [`${id}.1`, `${id}-x`, `once.${id}`];
      for (const one of longer) await queue.schedule({ authorizationId: one, periodMs: HOUR_MS });
      await queue.add({ queue: 'purge', authorizationId: id, reason: 'due', delayMs: HOUR_MS });
      await queue.sweep(id);
      for (const one of longer) {
        expect(await queue.isScheduled(one)).toBe(true);
        expect(await openJobsOf(bench(), 'refresh-and-pull', one)).toHaveLength(1);
        await queue.sweep(one);
      }
    });

    test('a job that a worker holds stays and counts as a trace; when it has ended, the next sweep takes it', async () => {
      const { queue, newId, start } = bench();
      const id = newId('held');
      const { opened, open } = gate();
      let [running, ended] = [false, false];
      start([
        {
          queue: 'refresh-and-pull',
          run: async () => {
            running = true;
            await opened;
            ended = true;
            return DONE;
          },
        },
      ]);
      await queue.schedule({ authorizationId: id, periodMs: 250 });
      await waitUntil('the run', () => running);
      await queue.sweep(id);
      expect(await queue.traces(id)).toBeGreaterThan(0);
      expect(await openJobsOf(bench(), 'refresh-and-pull', id)).toHaveLength(1);
      open();
      await waitUntil('its end', async () => ended && (await openJobsOf(bench(), 'refresh-and-pull', id)).length === 0);
      await queue.sweep(id);
      expect(await queue.traces(id)).toBe(0);
      const { tracesOf } = place();
      if (tracesOf !== null) expect(await tracesOf(id)).toEqual([]);
    });

    test('sweeps of many at once each answer for their own', async () => {
      const { queue, newId } = bench();
      const ids = Array.from({ length: 40 }, () => newId('many'));
      for (const id of ids) await queue.add({ queue: 'purge', authorizationId: id, reason: 'due', delayMs: HOUR_MS });
      const swept = await Promise.all(ids.map((id) => queue.sweep(id)));
      expect(swept.map(({ jobs }) => jobs)).toEqual(ids.map(() => 1));
      expect(swept.reduce((sum, { events }) => sum + events, 0)).toBeGreaterThan(0);
      expect(await Promise.all(ids.map((id) => queue.traces(id)))).toEqual(ids.map(() => 0));
    });
  });
}
