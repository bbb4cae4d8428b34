import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import type { FaultPlan } from './faults.ts';
import type { Figures } from './figures.ts';
import type { Fleet } from './fleet.ts';
import { playGroup } from './play.ts';
import type { Settings } from './settings.ts';

/** What every thread is given; the counters are shared. */
export type Task = {
  readonly settings: Settings;
  readonly faults: FaultPlan;
  readonly fleet: Fleet;
  readonly groups: readonly (readonly number[])[];
  /** Which group is next. */
  readonly nextGroup: Int32Array<SharedArrayBuffer>;
  /** Days of authorizations that are over. */
  readonly daysDone: Float64Array<SharedArrayBuffer>;
};

export type GroupDone = { readonly group: number; readonly figures: Figures };

const MARK = 'perennial-simulation';
type Given = { readonly mark: typeof MARK; readonly thread: number; readonly task: Task };

/** Starts one thread; it takes groups until none is left. Rejects when the thread fails. */
export function startThread({ task, thread }: { readonly task: Task; readonly thread: number }): Promise<GroupDone[]> {
  const given: Given = { mark: MARK, thread, task };
  const worker = new Worker(new URL(import.meta.url), { workerData: given });
  const done: GroupDone[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<GroupDone[]>();
  worker.on('message', (one: GroupDone) => done.push(one));
  worker.once('error', reject);
  worker.once('exit', () => resolve(done));
  return promise;
}

function isGiven(data: unknown): data is Given {
  return typeof data === 'object' && data !== null && 'mark' in data && data.mark === MARK;
}

function work({ task, thread }: Given): void {
  const { settings, faults, fleet, groups, nextGroup, daysDone } = task;
  for (;;) {
    const group = Atomics.add(nextGroup, 0, 1);
    const mine = groups[group];
    if (mine === undefined) return;
    const members = mine.reduce((sum, place) => sum + (fleet.endpoints[place]?.members ?? 0), 0);
    const onDay = (): void => {
      daysDone[thread] = (daysDone[thread] ?? 0) + members;
    };
    const figures = playGroup({ settings, faults, fleet, mine, onDay });
    parentPort?.postMessage({ group, figures } satisfies GroupDone);
  }
}

if (!isMainThread && isGiven(workerData)) work(workerData);
