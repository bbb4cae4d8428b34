type Entry = { readonly at: number; readonly order: number; readonly act: () => void };

/** Time that passes only from one thing that happens to the next. Of two things at the same moment the one that was planned first comes first. */
export type Timeline = {
  readonly now: () => number;
  readonly at: (instant: number, act: () => void) => void;
  /** Lets everything happen up to an instant, or until `enough` says so. Between two things every promise settles that can. */
  readonly runUntil: (instant: number, enough?: () => boolean) => Promise<void>;
};

export function createTimeline(startAt: number): Timeline {
  const heap: Entry[] = [];
  let now = startAt;
  let order = 0;
  return {
    now: () => now,
    at: (instant, act) => {
      order += 1;
      push(heap, { at: Math.max(instant, now), order, act });
    },
    runUntil: (instant, enough = () => false) =>
      new Promise((resolve, reject) => {
        const turn = (): void => {
          try {
            const [next] = heap;
            if (next === undefined || next.at > instant || enough()) {
              if (!enough()) now = Math.max(now, instant);
              resolve();
              return;
            }
            pop(heap);
            now = next.at;
            next.act();
          } catch (error) {
            reject(error instanceof Error ? error : new Error(String(error)));
            return;
          }
          afterAllPromises(turn);
        };
        afterAllPromises(turn);
      }),
  };
}

/** Node runs a tick only once no promise callback is left; asked for from inside one, it comes after all that they bring about. */
function afterAllPromises(act: () => void): void {
  queueMicrotask(() => process.nextTick(act));
}

function isBefore(left: Entry, right: Entry): boolean {
  return left.at < right.at || (left.at === right.at && left.order < right.order);
}

function push(heap: Entry[], entry: Entry): void {
  let index = heap.length;
  heap.push(entry);
  while (index > 0) {
    const parentIndex = (index - 1) >> 1;
    const parent = heap[parentIndex];
    if (parent === undefined || !isBefore(entry, parent)) break;
    heap[index] = parent;
    index = parentIndex;
  }
  heap[index] = entry;
}

function pop(heap: Entry[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let index = 0;
  for (;;) {
    const leftIndex = 2 * index + 1;
    const left = heap[leftIndex];
    if (left === undefined) break;
    const right = heap[leftIndex + 1];
    const child = right !== undefined && isBefore(right, left) ? right : left;
    if (!isBefore(child, last)) break;
    heap[index] = child;
    index = child === left ? leftIndex : leftIndex + 1;
  }
  heap[index] = last;
}
