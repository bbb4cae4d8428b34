import { describe, expect, test } from 'vitest';
import type { JobDefinition } from '../../../src/adapters/queue/consume.ts';
import { bringRun } from '../../../src/flows/bring-run.ts';
import { clock, gate, jobsOf, staysSo, waitUntil } from '../bench.ts';
import type { Suite } from '../queue.contract.ts';

const QUEUE = 'refresh-and-pull';

/** A job that stands between its plan and its end until it is let go on. */
function heldAtItsEnd() {
  const { opened, open } = gate();
  let runs = 0;
  const definition: JobDefinition = {
    queue: QUEUE,
    run: async () => {
      runs += 1;
      await opened;
      return { kind: 'done', reason: 'x' };
    },
  };
  return { definition, runs: () => runs, open };
}

export function bringingContract({ bench }: Suite): void {
  const underWay = async () => {
    const { queue, newId, start } = bench();
    const authorizationId = newId();
    const { definition, runs, open } = heldAtItsEnd();
    start([definition]);
    await queue.add({ queue: QUEUE, authorizationId, reason: 'due' });
    await waitUntil('the run', () => runs() === 1);
    return { queue, authorizationId, runs, open };
  };
  const endsAlone = async ({ id, runs }: { readonly id: string; readonly runs: () => number }) => {
    await waitUntil('its end', async () => (await jobsOf(bench(), QUEUE, id))[0]?.finishedOn !== undefined);
    await staysSo(200, () => expect(runs()).toBe(1));
  };
  describe('bringing a run', () => {
    test('behind a job that has planned already and ends just then', async () => {
      const { queue, authorizationId, runs, open } = await underWay();
      const awaitsRun = async () => {
        open();
        return true;
      };
      await bringRun({ context: { queue, clock, store: { awaitsRun } }, authorizationId, reason: 'told', at: 0 });
      await waitUntil('the one that was brought', () => runs() === 2);
    });

    test('adds none where the run that is under way will see it', async () => {
      const { queue, authorizationId, runs, open } = await underWay();
      const context = { queue, clock, store: { awaitsRun: async () => false } };
      await bringRun({ context, authorizationId, reason: 'told', at: 0 });
      open();
      await endsAlone({ id: authorizationId, runs });
    });

    test('control: asked for once, it is swallowed', async () => {
      const { queue, authorizationId, runs, open } = await underWay();
      expect(await queue.add({ queue: QUEUE, authorizationId, reason: 'told' })).toBe('runs');
      open();
      await endsAlone({ id: authorizationId, runs });
    });

    test('says that it waits, whatever was there before', async () => {
      const { queue, newId } = bench();
      const authorizationId = newId();
      const add = (delayMs: number) => queue.add({ queue: QUEUE, authorizationId, reason: 'told', delayMs });
      // New, put off, brought forward, and waiting for a worker.
      for (const delayMs of [3_600_000, 7_200_000, 0, 0]) expect(await add(delayMs)).toBe('waits');
    });
  });
}
