import { LIMITS } from '../core/limits.ts';
import type { QueueCensus } from '../core/ports/census.ts';
import type { Clock, Entropy } from '../core/ports/clock.ts';
import type { LastPass } from '../core/ports/fleet.ts';
import type { Context } from './context.ts';

/** Tells whether the queue is still the one that the last pass left: a random mark lies in both it and the store. */
export type Marks = {
  /** Whether a pass should hurry: the marks differed when this began, or the last pass is long ago. */
  readonly isOwed: () => boolean;
  /** Gives the queue a mark that the store has not, so that a pass which dies in its middle is owed still. */
  readonly begin: () => Promise<void>;
  /** False when the queue lost its mark: it was emptied, or is an older copy. Renews the mark now and then, as long as no pass is owed. */
  readonly isKept: () => Promise<boolean>;
  /** The pass is over: the store learns what it came to, and the mark. */
  readonly passed: (pass: Pick<LastPass, 'authorizations' | 'drift'>) => Promise<void>;
};

type Marking = Pick<Context, 'store'> & {
  readonly clock: Pick<Clock, 'stopwatch'>;
  readonly entropy: Pick<Entropy, 'id'>;
};

/** Reads both marks. */
export async function createMarks({
  context,
  census,
}: {
  readonly context: Marking;
  readonly census: Pick<QueueCensus, 'mark' | 'setMark'>;
}): Promise<Marks> {
  const { store, clock, entropy } = context;
  const { mark: stored, lastPass } = await store.reconciled();
  const recent = lastPass !== null && lastPass.agoMs < LIMITS.reconcileFreshMs;
  const owedAtFirst = stored === null || (await census.mark()) !== stored || !recent;
  let mark = stored;
  let owed = owedAtFirst;
  let sinceMarked = clock.stopwatch();
  const renew = async (): Promise<string> => {
    const next = entropy.id();
    await census.setMark(next);
    mark = next;
    sinceMarked = clock.stopwatch();
    return next;
  };
  return {
    isOwed: () => owedAtFirst,
    begin: async () => {
      owed = true;
      await renew();
    },
    isKept: async () => {
      if ((await census.mark()) !== mark) return false;
      if (!owed && sinceMarked() > LIMITS.markEveryMs) await store.noteReconciled({ mark: await renew() });
      return true;
    },
    passed: async (pass) => {
      await store.noteReconciled({ mark: mark ?? (await renew()), pass });
      owed = false;
    },
  };
}
