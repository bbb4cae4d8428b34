import { describe, expect, test } from 'vitest';
import { calmIds, HOUR_MS, jobsOf, queueNamed, recorder, staysSo, waitUntil } from '../bench.ts';
import type { Suite } from '../queue.contract.ts';

export function restartContract(suite: Suite): void {
  describe('closed and opened again', () => {
    test('repeating, delayed and waiting jobs are still there, nothing runs twice, nothing runs at once', async () => {
      const before = suite.bench();
      const [repeating = ''] = calmIds(before, 1, [HOUR_MS]);
      const [delayed, waiting, done] = [before.newId('delayed'), before.newId('waiting'), before.newId('done')];
      const first = recorder('fetch-once');
      const consumers = before.start([first.definition]);
      await before.queue.add({ queue: 'fetch-once', authorizationId: done, reason: 'accepted' });
      await waitUntil('the first run', () => first.runsOf(done).length === 1);
      await consumers.close({ force: false });
      await before.queue.schedule({ authorizationId: repeating, periodMs: HOUR_MS });
      await before.queue.add({ queue: 'purge', authorizationId: delayed, reason: 'due', delayMs: HOUR_MS });
      await before.queue.add({ queue: 'fetch-once', authorizationId: waiting, reason: 'accepted' });
      const scheduler = await queueNamed(before, 'refresh-and-pull', repeating).getJobScheduler(repeating);

      const after = await suite.reopen();
      const ids = [repeating, delayed, waiting, done];
      try {
        expect(await queueNamed(after, 'refresh-and-pull', repeating).getJobScheduler(repeating)).toEqual(scheduler);
        expect(await jobsOf(after, 'refresh-and-pull', repeating)).toHaveLength(1);
        expect(await (await jobsOf(after, 'purge', delayed))[0]?.getState()).toBe('delayed');
        const recorders = [recorder('fetch-once'), recorder('purge'), recorder('refresh-and-pull')] as const;
        after.start(recorders.map(({ definition }) => definition));
        const runs = () => recorders.flatMap((one) => one.runs.map(({ id }) => id));
        await waitUntil('the waiting job', () => runs().length >= 1);
        await staysSo(400, () => expect(runs()).toEqual([waiting]));
        await after.queue.schedule({ authorizationId: repeating, periodMs: HOUR_MS });
        expect(await jobsOf(after, 'refresh-and-pull', repeating)).toHaveLength(1);
      } finally {
        await after.tidy();
        for (const id of ids) await after.queue.remove(id);
      }
    });
  });
}
