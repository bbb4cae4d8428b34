import { PerennialError } from '../../core/errors.ts';

/** Calls that go together at most: a statement of so many rows takes about a millisecond. */
const TOGETHER_MAX = 64;
/** So long a call waits for company: a run is on the network for a hundred times as long, and in 2 ms a busy worker has five to thirty writes to share a commit. */
const GATHER_MS = 2;
/** A pass that takes longer holds up nobody: its connection may have gone silent, and a silent one lasts until its timeout. */
const PASS_PATIENCE_MS = 50;

type Waiting<I, O> = PromiseWithResolvers<O> & { readonly id: string; readonly input: I };

/**
 * Lets calls share statements: those that come within a moment, or while a pass is under way, go together in the next, each authorization once. `pass` answers each
 * input by its place. A pass that fails rejects its calls with the error.
 */
export function gathered<I extends { readonly authorizationId: string }, O>(
  pass: (inputs: readonly I[]) => Promise<readonly O[]>,
): (input: I) => Promise<O> {
  let waiting: readonly Waiting<I, O>[] = [];
  let current: object | null = null;
  const pump = (): void => {
    if (current !== null || waiting.length === 0) return;
    const calls = firstOfEach(waiting);
    waiting = waiting.filter((call) => !calls.includes(call));
    const own = {};
    current = own;
    const over = (): void => {
      clearTimeout(timer);
      if (current !== own) return;
      current = null;
      pump();
    };
    const timer = setTimeout(over, PASS_PATIENCE_MS);
    void answer({ calls, pass }).finally(over);
  };
  return (input) => {
    const call = { ...Promise.withResolvers<O>(), id: input.authorizationId, input };
    waiting = [...waiting, call];
    if (waiting.length === 1) setTimeout(pump, GATHER_MS);
    return call.promise;
  };
}

/** In the order of their ids, so that two passes that wait for each other's rows cannot wait in a circle. */
function firstOfEach<I, O>(waiting: readonly Waiting<I, O>[]): readonly Waiting<I, O>[] {
  const firsts = new Map<string, Waiting<I, O>>();
  for (const call of waiting) {
    if (!firsts.has(call.id)) firsts.set(call.id, call);
    if (firsts.size === TOGETHER_MAX) break;
  }
  return [...firsts.values()].sort((left, right) => (left.id < right.id ? -1 : 1));
}

async function answer<I, O>({
  calls,
  pass,
}: {
  readonly calls: readonly Waiting<I, O>[];
  readonly pass: (inputs: readonly I[]) => Promise<readonly O[]>;
}): Promise<void> {
  try {
    const answers = await pass(calls.map(({ input }) => input));
    for (const [place, call] of calls.entries()) {
      const found = answers[place];
      if (found === undefined) call.reject(new PerennialError('internal', { field: 'pass' }));
      else call.resolve(found);
    }
  } catch (error) {
    for (const call of calls) call.reject(error);
  }
}
