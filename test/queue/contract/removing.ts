import { describe, expect, test } from 'vitest';
import { AUTHORIZATION_QUEUES, gate, HOUR_MS, jobsOf, openJobsOf, recorder, waitUntil } from '../bench.ts';
import type { Suite } from '../queue.contract.ts';

export function removingContract({ bench, place }: Suite): void {
  const all = async (id: string) =>
    (await Promise.all(AUTHORIZATION_QUEUES.map((name) => jobsOf(bench(), name, id)))).flat();

  describe('removing', () => {
    test('unschedule ends the repeating job alone', async () => {
      const { queue, newId } = bench();
      const id = newId();
      await queue.schedule({ authorizationId: id, periodMs: HOUR_MS });
      await queue.add({ queue: 'purge', authorizationId: id, reason: 'due', delayMs: HOUR_MS });
      await queue.unschedule(id);
      expect(await queue.isScheduled(id)).toBe(false);
      expect((await all(id)).map((job) => job.name)).toEqual(['purge']);
      await queue.unschedule(id);
    });

    test('remove leaves no job of any queue in any state, and nobody else loses one', async () => {
      const { queue, newId, start } = bench();
      const [id, other] = [newId(), newId()];
      for (const one of [id, other]) {
        await queue.schedule({ authorizationId: one, periodMs: 24 * HOUR_MS });
        await queue.add({ queue: 'fetch-once', authorizationId: one, reason: 'accepted' });
        await queue.add({ queue: 'purge', authorizationId: one, reason: 'due', delayMs: HOUR_MS });
        await queue.add({ queue: 'activate', authorizationId: one, reason: 'accepted' });
      }
      start([{ queue: 'activate', run: async () => ({ kind: 'failed', code: 'unknown_source' }) }]);
      await waitUntil('both failures', async () => {
        const jobs = (await Promise.all([id, other].map((one) => jobsOf(bench(), 'activate', one)))).flat();
        return (await Promise.all(jobs.map((job) => job.isFailed()))).filter(Boolean).length === 2;
      });
      expect(await all(id)).toHaveLength(4);
      await queue.remove(id);
      expect(await all(id)).toEqual([]);
      expect(await queue.isScheduled(id)).toBe(false);
      expect(await all(other)).toHaveLength(4);
      await queue.remove(id);
    });

    test('remove also finds the runs of the repeating job that failed or were put back', async () => {
      const { queue, newId, start } = bench();
      const [failing, waiting] = [newId('failing'), newId('waiting')];
      const consumers = start([
        {
          queue: 'refresh-and-pull',
          run: async ({ payload }) =>
            payload['authorizationId'] === failing
              ? { kind: 'failed', code: 'unknown_source' }
              : { kind: 'again', afterWallMs: HOUR_MS, reason: 'x' },
        },
      ]);
      for (const id of [failing, waiting]) await queue.schedule({ authorizationId: id, periodMs: 300 });
      await waitUntil('both to run', async () => (await all(failing)).length >= 2 && (await all(waiting)).length >= 2);
      await consumers.close({ force: false });
      for (const id of [failing, waiting]) {
        await queue.remove(id);
        expect(await all(id)).toEqual([]);
      }
    });

    test('a job that is running may remove its own authorization, and leaves nothing when it ends', async () => {
      const { queue, newId, start } = bench();
      const id = newId();
      start([
        {
          queue: 'purge',
          run: async () => {
            await queue.remove(id);
            return { kind: 'done', reason: 'purged' };
          },
        },
      ]);
      await queue.schedule({ authorizationId: id, periodMs: HOUR_MS });
      await queue.add({ queue: 'purge', authorizationId: id, reason: 'due' });
      await waitUntil('nothing to be left', async () => (await all(id)).length === 0);
      expect(await queue.isScheduled(id)).toBe(false);
    });

    test('a run that its authorization was removed under does not bring it back', async () => {
      const { queue, newId, start } = bench();
      const id = newId();
      const { opened, open } = gate();
      let running = false;
      let ended = false;
      start([
        {
          queue: 'refresh-and-pull',
          run: async () => {
            running = true;
            await opened;
            ended = true;
            return { kind: 'done', reason: 'x' };
          },
        },
      ]);
      await queue.schedule({ authorizationId: id, periodMs: 250 });
      await waitUntil('the run', () => running);
      await queue.remove(id);
      open();
      await waitUntil('its end', async () => ended && (await openJobsOf(bench(), 'refresh-and-pull', id)).length === 0);
      expect(await queue.isScheduled(id)).toBe(false);
      // The run itself ended after the removal and is kept for a while, as ids.
      for (const job of await all(id)) expect(job.data).toEqual({ authorizationId: id, reason: 'due' });
    });

    test('nothing stored names a removed authorization, but for the streams of events', async ({ skip }) => {
      const { tracesOf } = place();
      if (tracesOf === null) return skip('asked after the restart');
      const { queue, newId, start } = bench();
      const id = newId('trace');
      const { definition, runsOf } = recorder('fetch-once');
      start([definition]);
      await queue.schedule({ authorizationId: id, periodMs: HOUR_MS });
      await queue.add({ queue: 'fetch-once', authorizationId: id, reason: 'accepted' });
      await queue.add({ queue: 'purge', authorizationId: id, reason: 'due', delayMs: HOUR_MS });
      await waitUntil('the run', () => runsOf(id).length === 1);
      // Control: what is looked for can be found.
      expect((await tracesOf(id)).filter((trace) => !trace.startsWith('events'))).not.toEqual([]);
      await queue.remove(id);
      await waitUntil(
        'the traces to go',
        async () => (await tracesOf(id)).filter((trace) => !trace.startsWith('events')).length === 0,
      );
    });
  });
}
