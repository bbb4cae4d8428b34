import { describe, expect, test } from 'vitest';
import type { JobDefinition } from '../../../src/adapters/queue/consume.ts';
import { PerennialError } from '../../../src/core/errors.ts';
import type { JobOutcome } from '../../../src/core/ports/queue.ts';
import { gate, intakeOf, jobsOf, newIdBeside, openJobsOf, recorder, staysSo, waitUntil } from '../bench.ts';
import type { Suite } from '../queue.contract.ts';

const CANARY = 'canary-refresh-9c1d';

export function consumingContract({ bench, place }: Suite): void {
  const failedJob = async (id: string, run: JobDefinition['run']) => {
    bench().start([{ queue: 'fetch-once', run }]);
    await bench().queue.add({ queue: 'fetch-once', authorizationId: id, reason: 'accepted' });
    await waitUntil(
      'the failure',
      async () => (await (await jobsOf(bench(), 'fetch-once', id))[0]?.isFailed()) === true,
    );
    const [job] = await jobsOf(bench(), 'fetch-once', id);
    if (job === undefined) throw new Error('no job');
    return job;
  };

  describe('consuming', () => {
    test('a purge that is done leaves no job; any other is kept for people, as ids and without a return value', async () => {
      const { queue, newId, start, lines } = bench();
      const id = newId();
      const recorders = [recorder('fetch-once'), recorder('purge')];
      start(recorders.map(({ definition }) => definition));
      await queue.add({ queue: 'fetch-once', authorizationId: id, reason: 'accepted' });
      await queue.add({ queue: 'purge', authorizationId: id, reason: 'due' });
      const ended = async () =>
        (await Promise.all([openJobsOf(bench(), 'fetch-once', id), openJobsOf(bench(), 'purge', id)])).flat().length ===
        0;
      await waitUntil('both ends', async () => recorders.every(({ runs }) => runs.length === 1) && (await ended()));
      expect(await jobsOf(bench(), 'purge', id)).toEqual([]);
      const [job] = await jobsOf(bench(), 'fetch-once', id);
      expect(job?.data).toEqual({ authorizationId: id, reason: 'accepted' });
      expect(job?.returnvalue ?? null).toBeNull();
      const line = lines.find(({ fields }) => fields.authorizationId === id && fields.queue === 'fetch-once');
      expect(line).toMatchObject({
        event: 'job',
        fields: { queue: 'fetch-once', outcome: 'done', reason: 'recorded' },
      });
    });

    test('a job put back waits alone: the others go on meanwhile, and it comes back at its time', async () => {
      const { queue, newId, start } = bench();
      const [throttled, other] = [newId('throttled'), newId('other')];
      const order: { readonly id: unknown; readonly at: number }[] = [];
      start(
        [
          {
            queue: 'refresh-and-pull',
            run: async ({ payload }): Promise<JobOutcome> => {
              const id = payload['authorizationId'];
              const first = !order.some((one) => one.id === id);
              order.push({ id, at: Date.now() });
              return id === throttled && first
                ? { kind: 'again', afterWallMs: 700, reason: 'upstream_throttled' }
                : { kind: 'done', reason: 'x' };
            },
          },
        ],
        1,
      );
      await queue.add({ queue: 'refresh-and-pull', authorizationId: throttled, reason: 'accepted' });
      await waitUntil('the first run', () => order.length === 1);
      await waitUntil(
        'it to wait',
        async () => (await (await jobsOf(bench(), 'refresh-and-pull', throttled))[0]?.getState()) === 'delayed',
      );
      await queue.add({ queue: 'refresh-and-pull', authorizationId: other, reason: 'accepted' });
      await waitUntil('all three runs', () => order.length === 3);
      expect(order.map(({ id }) => id)).toEqual([throttled, other, throttled]);
      expect((order[2]?.at ?? 0) - (order[0]?.at ?? 0)).toBeGreaterThanOrEqual(690);
      await waitUntil('its end', async () => (await openJobsOf(bench(), 'refresh-and-pull', throttled)).length === 0);
    });

    test('a job put back 30 times still comes back', async () => {
      const { queue, newId, start } = bench();
      let runs = 0;
      start([
        {
          queue: 'purge',
          run: async () => {
            runs += 1;
            return runs <= 30 ? { kind: 'again', afterWallMs: 1, reason: 'x' } : { kind: 'done', reason: 'x' };
          },
        },
      ]);
      const id = newId();
      await queue.add({ queue: 'purge', authorizationId: id, reason: 'due' });
      await waitUntil('the end', async () => runs === 31 && (await jobsOf(bench(), 'purge', id)).length === 0);
    });

    test('a failure ends failed under exactly its code, with no other text and no return value', async () => {
      const job = await failedJob(bench().newId(), async () => ({ kind: 'failed', code: 'authorization_dead' }));
      expect(job.failedReason).toBe('authorization_dead');
      expect((job.stacktrace ?? []).filter((trace) => trace !== 'authorization_dead')).toEqual([]);
      expect(job.returnvalue ?? null).toBeNull();
      expect(job.attemptsMade).toBeLessThanOrEqual(1);
    });

    test('an unforeseen error ends as internal, and its text is nowhere', async () => {
      const id = bench().newId();
      const job = await failedJob(id, async () => {
        throw new Error(`refused ${CANARY}`, { cause: { token: CANARY } });
      });
      expect(job.failedReason).toBe('internal');
      expect(JSON.stringify(job.asJSON())).not.toContain('canary');
      expect(JSON.stringify(bench().lines)).not.toContain('canary');
      expect((await place().tracesOf?.(CANARY)) ?? []).toEqual([]);
    });

    test('an error of ours, thrown before the first await too, ends under its own code', async () => {
      const job = await failedJob(bench().newId(), () => {
        throw new PerennialError('invalid_request', { field: 'job payload' });
      });
      expect(job.failedReason).toBe('invalid_request');
    });

    test.each(['done', 'failed'] as const)(
      'a sealed request is gone from its intake job once that is %s',
      async (end) => {
        const { newId, start } = bench();
        const id = newId('sealed');
        const sealed = `sealed-${id}-${CANARY}`;
        const intake = intakeOf(bench());
        const job = await intake.add('accept', { authorizationId: id, service: 'portal', sealed });
        const seen: unknown[] = [];
        start([
          {
            queue: 'intake',
            run: async ({ payload }) => {
              seen.push(payload['sealed']);
              if (seen.length === 1) return { kind: 'again', afterWallMs: 50, reason: 'database_unreachable' };
              return end === 'done' ? { kind: 'done', reason: 'x' } : { kind: 'failed', code: 'token_expired' };
            },
          },
        ]);
        await waitUntil('the end', async () => (await intake.getJob(job.id ?? ''))?.finishedOn !== undefined);
        // Until then it is there for every new try.
        expect(seen).toEqual([sealed, sealed]);
        const kept = await intake.getJob(job.id ?? '');
        expect(kept?.data).toEqual({ authorizationId: id, service: 'portal' });
        expect((await place().tracesOf?.(sealed)) ?? []).toEqual([]);
        await kept?.remove();
      },
    );

    test('control: a worker that lets errors through keeps their text', async () => {
      const { backend, queue, newId } = bench();
      const id = newId('control');
      const careless = `careless-${CANARY}`;
      const worker = backend.createWorker(
        { name: 'fetch-once', shard: backend.layout.shardOf(id) },
        async () => {
          throw new Error(careless);
        },
        { concurrency: 1 },
      );
      worker.on('error', () => {});
      await queue.add({ queue: 'fetch-once', authorizationId: id, reason: 'accepted' });
      await waitUntil(
        'the failure',
        async () => (await (await jobsOf(bench(), 'fetch-once', id))[0]?.isFailed()) === true,
      );
      await worker.close();
      const [job] = await jobsOf(bench(), 'fetch-once', id);
      expect(JSON.stringify(job?.asJSON())).toContain(careless);
      const { tracesOf } = place();
      if (tracesOf !== null) expect(await tracesOf(careless)).not.toEqual([]);
    });

    test.each([
      ['that waited already', 1],
      ['added while it stops, with room for them', 4],
    ])(
      'a consumer that is stopped ends what runs and takes no new jobs %s; the next one takes them',
      async (_, room) => {
        const { queue, newId, start } = bench();
        const running = newId('running');
        const later = Array.from({ length: 5 }, () => newIdBeside(bench(), running));
        const { opened, open } = gate();
        const taken: unknown[] = [];
        const definition: JobDefinition = {
          queue: 'fetch-once',
          run: async ({ payload }) => {
            taken.push(payload['authorizationId']);
            if (payload['authorizationId'] === running) await opened;
            return { kind: 'done', reason: 'x' };
          },
        };
        const add = (id: string) => queue.add({ queue: 'fetch-once', authorizationId: id, reason: 'accepted' });
        const consumers = start([definition], room);
        await add(running);
        await waitUntil('the first run', () => taken.length === 1);
        if (room === 1) await Promise.all(later.map(add));
        let closed = false;
        const closing = consumers.close({ force: false }).then(() => {
          closed = true;
        });
        try {
          if (room > 1) await Promise.all(later.map(add));
          await staysSo(300, () => {
            expect(closed).toBe(false);
            expect(taken).toEqual([running]);
          });
        } finally {
          open();
        }
        await closing;
        await staysSo(200, () => expect(taken).toEqual([running]));
        expect(await openJobsOf(bench(), 'fetch-once', running)).toEqual([]);
        start([definition], 2);
        await waitUntil('the other runs', () => later.every((id) => taken.includes(id)));
      },
    );

    test('two consumers share the jobs: 40 jobs, each run once', async () => {
      const { queue, newId, start } = bench();
      const ids = Array.from({ length: 40 }, () => newId('shared'));
      const runs: unknown[] = [];
      const definition: JobDefinition = {
        queue: 'fetch-once',
        run: async ({ payload }) => {
          runs.push(payload['authorizationId']);
          return { kind: 'done', reason: 'x' };
        },
      };
      start([definition], 5);
      start([definition], 5);
      await Promise.all(ids.map((id) => queue.add({ queue: 'fetch-once', authorizationId: id, reason: 'accepted' })));
      await waitUntil('all runs', () => runs.length >= 40);
      await staysSo(150, () => expect(runs).toHaveLength(40));
      expect(new Set(runs)).toEqual(new Set(ids));
    });
  });
}
