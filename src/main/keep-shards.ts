import type { ShardKeeper } from '../adapters/queue/shard-keeper.ts';
import { codeOf } from '../core/errors.ts';
import type { Context } from '../flows/context.ts';

const limits = {
  /** Three times before a layout of shards counts as given up, so that one lost note gives up nothing. */
  noteEveryMs: 20_000,
  /** One process empties at a time; it renews this with every step, each of which ends within seconds. */
  dutyLeaseMs: 30_000,
} as const;

/**
 * Notes again and again that this process uses its shards, until the signal aborts; a worker also empties those that nobody uses any more, one worker at a time.
 * A queue or store that is away leaves it to the next time.
 */
export async function keepShards({
  keeper,
  context,
  takes,
  signal,
}: {
  readonly keeper: ShardKeeper | null;
  readonly context: Pick<Context, 'clock' | 'log' | 'store' | 'owner'>;
  readonly takes: boolean;
  readonly signal: AbortSignal;
}): Promise<void> {
  if (keeper === null) return;
  const { clock, log } = context;
  let emptying: Promise<void> | null = null;
  while (!signal.aborted) {
    try {
      await keeper.use({ takes });
      // Not waited for: while a large layout is emptied, the own one has to stay noted.
      if (takes && emptying === null && (await keeper.hasGivenUp())) {
        emptying = emptyOnce({ keeper, context, signal }).finally(() => {
          emptying = null;
        });
      }
    } catch (error) {
      log.warn('shards_not_noted', { code: codeOf(error) });
    }
    await clock.sleep(limits.noteEveryMs, signal);
  }
  await emptying;
}

async function emptyOnce({
  keeper,
  context: { log, store, owner },
  signal,
}: {
  readonly keeper: ShardKeeper;
  readonly context: Pick<Context, 'log' | 'store' | 'owner'>;
  readonly signal: AbortSignal;
}): Promise<void> {
  const duty = { name: 'empty_shards', owner } as const;
  try {
    const goesOn = async () => !signal.aborted && (await store.takeDuty({ ...duty, leaseMs: limits.dutyLeaseMs }));
    if (!(await goesOn())) return;
    for (const { shards, moved, done } of await keeper.empty({ goesOn }))
      log.info('shards_emptied', { count: shards, modified: moved, outcome: done ? 'done' : 'interrupted' });
    await store.releaseDuty(duty);
  } catch (error) {
    log.warn('shards_not_emptied', { code: codeOf(error) });
  }
}
