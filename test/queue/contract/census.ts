import { describe, expect, test } from 'vitest';
import { createCensus } from '../../../src/adapters/queue/census.ts';
import type { Found, QueueCensus } from '../../../src/core/ports/census.ts';
import type { JobOutcome } from '../../../src/core/ports/queue.ts';
import { calmIds, clock, expectNear, HOUR_MS, openJobsOf, queueNamed, recorder, staysSo, waitUntil } from '../bench.ts';
import type { Suite } from '../queue.contract.ts';

const REPEATING = 'refresh-and-pull';
/** More than one step of a walk takes. */
const MANY = 620;

export function censusContract({ bench, place }: Suite): void {
  const census = (): QueueCensus => createCensus({ backend: bench().backend, queue: bench().queue, clock });
  const held = async (id: string) => {
    const found = (await census().look([id])).get(id);
    if (found === undefined) throw new Error('not looked at');
    return found;
  };
  const walked = async (): Promise<readonly Found[]> => {
    const found: Found[] = [];
    for (let after: string | null = null; ; ) {
      const page = await census().walk(after);
      found.push(...page.found);
      if (page.after === null) return found;
      after = page.after;
    }
  };

  describe('a census', () => {
    test('tells of each authorization its scheduler, its pending run and its other jobs, and of one that is unknown nothing', async () => {
      const { queue, newId } = bench();
      const [id = ''] = calmIds(bench(), 1, [HOUR_MS]);
      const [other, unknown] = [newId('other'), newId('unknown')];
      await queue.schedule({ authorizationId: id, periodMs: HOUR_MS });
      await queue.add({ queue: 'purge', authorizationId: id, reason: 'due', delayMs: 2 * HOUR_MS });
      await queue.add({ queue: 'fetch-once', authorizationId: other, reason: 'accepted' });
      const found = await census().look([id, other, unknown]);
      const next = queue.nextRunAt({ authorizationId: id, periodMs: HOUR_MS });
      expect(found.get(id)).toMatchObject({
        scheduler: { every: HOUR_MS, next },
        pending: { kind: 'delayed', wakesAt: expect.closeTo(next, -2) },
        jobs: [{ queue: 'purge', wakesAt: expect.any(Number) }],
      });
      expectNear(found.get(id)?.jobs[0]?.wakesAt ?? 0, Date.now() + 2 * HOUR_MS, 5_000);
      const nothing = { scheduler: null, pending: { kind: 'gone' } };
      expect(found.get(other)).toMatchObject({ ...nothing, jobs: [{ queue: 'fetch-once', wakesAt: null }] });
      expect(found.get(unknown)).toEqual({ ...nothing, jobs: [] });
    });

    test('tells a run that was put back from the pending one, a failed job as held, and one that ended well not at all', async () => {
      const { queue, newId, start } = bench();
      const id = newId();
      const ends: JobOutcome[] = [{ kind: 'again', afterWallMs: HOUR_MS, reason: 'x' }];
      const activate = recorder('activate');
      start([
        { queue: REPEATING, run: async () => ends[0] ?? { kind: 'done', reason: 'x' } },
        { queue: 'fetch-once', run: async () => ({ kind: 'failed', code: 'unknown_source' }) },
        activate.definition,
      ]);
      for (const name of ['activate', 'fetch-once'] as const)
        await queue.add({ queue: name, authorizationId: id, reason: 'accepted' });
      await queue.schedule({ authorizationId: id, periodMs: 300 });
      await waitUntil('a run put back', async () => (await openJobsOf(bench(), REPEATING, id)).length > 1);
      await queue.unschedule(id);
      await waitUntil('the first job to end', async () => {
        return !(await held(id)).jobs.some((job) => job.queue === 'activate');
      });
      await waitUntil('the other one to fail', async () => {
        const [job] = await queueNamed(bench(), 'fetch-once', id).getJobs(['failed']);
        return job !== undefined;
      });
      const { scheduler, jobs } = await held(id);
      expect(scheduler).toBeNull();
      expect(jobs.filter((job) => job.queue === 'fetch-once')).toMatchObject([{ wakesAt: null }]);
      const back = jobs.filter((job) => job.queue === REPEATING);
      expect(back.length).toBeGreaterThan(0);
      for (const { jobId, wakesAt } of back) {
        expect(jobId.startsWith(`repeat:${id}:`)).toBe(true);
        expectNear(wakesAt ?? 0, Date.now() + HOUR_MS, 30_000);
      }
    });

    test('sees that a pending run is lost, and brings it back at its own slot without running anything', async ({
      skip,
    }) => {
      const { losePending } = place();
      if (losePending === null) return skip('nobody gets at this database from outside');
      const { queue, start } = bench();
      const [id = ''] = calmIds(bench(), 1, [HOUR_MS]);
      const { definition, runs } = recorder(REPEATING);
      start([definition]);
      await queue.schedule({ authorizationId: id, periodMs: HOUR_MS });
      await losePending(id);
      expect(await held(id)).toMatchObject({ scheduler: { every: HOUR_MS }, pending: { kind: 'gone' } });
      // Control: to schedule it again does not help while its slot lies ahead.
      await queue.schedule({ authorizationId: id, periodMs: HOUR_MS });
      expect((await held(id)).pending).toEqual({ kind: 'gone' });
      await census().restore({ authorizationId: id, periodMs: HOUR_MS, instead: 'something' });
      const next = queue.nextRunAt({ authorizationId: id, periodMs: HOUR_MS });
      expect(await held(id)).toMatchObject({ scheduler: { next }, pending: { kind: 'delayed' } });
      await staysSo(300, () => expect(runs).toEqual([]));
    });

    test.each([
      ['where nothing was', null, 'nothing'],
      ['over one of another period', 2 * HOUR_MS, 'something'],
      ['over one that is as it should be', HOUR_MS, 'something'],
    ] as const)(
      'makes 50 schedulers anew %s: none runs at once, each has one pending run at its slot',
      async (_what, before, instead) => {
        const { queue, start } = bench();
        const ids = calmIds(bench(), 50, [HOUR_MS, 2 * HOUR_MS]);
        if (before !== null)
          await Promise.all(ids.map((id) => queue.schedule({ authorizationId: id, periodMs: before })));
        const { definition, runs } = recorder(REPEATING);
        start([definition]);
        const now = census();
        await Promise.all(ids.map((id) => now.restore({ authorizationId: id, periodMs: HOUR_MS, instead })));
        await staysSo(200, () => expect(runs).toEqual([]));
        const found = await now.look(ids);
        for (const id of ids) {
          const next = queue.nextRunAt({ authorizationId: id, periodMs: HOUR_MS });
          expect(found.get(id)).toMatchObject({
            scheduler: { every: HOUR_MS, next },
            pending: { kind: 'delayed', wakesAt: expect.closeTo(next, -2) },
            jobs: [],
          });
        }
        const pending = (await walked()).filter(
          ({ kind, authorizationId }) => kind === 'job' && ids.includes(authorizationId),
        );
        expect(pending).toHaveLength(50);
      },
    );

    test(`walks over all that is held, ${MANY} schedulers among it, and tells whose pending run a job is`, async () => {
      const { queue, newId } = bench();
      const ids = Array.from({ length: MANY }, () => newId('walk'));
      const purged = newId('purge');
      await Promise.all(ids.map((id) => queue.schedule({ authorizationId: id, periodMs: 24 * HOUR_MS })));
      await queue.add({ queue: 'purge', authorizationId: purged, reason: 'due', delayMs: HOUR_MS });
      const found = await walked();
      const idsOf = (some: readonly Found[]) => new Set(some.map(({ authorizationId }) => authorizationId));
      const schedulers = idsOf(found.filter(({ kind }) => kind === 'scheduler'));
      const own = idsOf(found.filter((one) => one.kind === 'job' && one.own));
      expect(ids.filter((id) => !schedulers.has(id) || !own.has(id))).toEqual([]);
      const jobs = found.filter(({ authorizationId }) => authorizationId === purged);
      expect(jobs).toMatchObject([{ kind: 'job', queue: 'purge', own: false, wakesAt: expect.any(Number) }]);
    });

    test('drops a delayed job, once, and no job that waits', async () => {
      const { queue, newId } = bench();
      const [delayed, waiting] = [newId('delayed'), newId('waiting')];
      await queue.add({ queue: 'purge', authorizationId: delayed, reason: 'due', delayMs: HOUR_MS });
      await queue.add({ queue: 'purge', authorizationId: waiting, reason: 'due' });
      const drop = async (authorizationId: string) => {
        const [job] = (await held(authorizationId)).jobs;
        if (job === undefined) throw new Error('no job');
        const first = await census().drop({ ...job, authorizationId });
        return [first, await census().drop({ ...job, authorizationId })];
      };
      expect(await drop(delayed)).toEqual([true, false]);
      expect(await drop(waiting)).toEqual([false, false]);
      expect((await held(delayed)).jobs).toEqual([]);
      expect((await held(waiting)).jobs).toHaveLength(1);
    });

    test('keeps the mark that it was given last', async () => {
      expect(await census().mark()).toBeNull();
      await census().setMark('one');
      await census().setMark('two');
      expect(await census().mark()).toBe('two');
    });
  });
}
