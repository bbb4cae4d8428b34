import type { Clock } from '../../core/ports/clock.ts';
import type { WorkQueue } from '../../core/ports/queue.ts';
import type { QueueBackend } from './bullmq-parts.ts';
import { emptyLayout } from './empty.ts';
import type { Layout } from './layout.ts';

/** What became of one layout that nobody uses any more: its number of shards, how many jobs moved, whether it is empty now. */
export type Emptied = { readonly shards: number; readonly moved: number; readonly done: boolean };

/** Keeps the shards of this process noted as used, and empties those that are given up. */
export type ShardKeeper = {
  /** Notes that this process uses its shards; to be called again and again, more often than layouts are given up. */
  readonly use: (how: { readonly takes: boolean }) => Promise<void>;
  /** Whether there is something to empty. */
  readonly hasGivenUp: () => Promise<boolean>;
  /** Empties what nobody uses any more, for as long as `goesOn` says so: one process at a time. */
  readonly empty: (how: { readonly goesOn: () => Promise<boolean> }) => Promise<readonly Emptied[]>;
};

/** Null where there is one layout for ever. */
export function createShardKeeper({
  backend: { layouts, redis },
  queue,
  clock,
}: {
  readonly backend: Pick<QueueBackend, 'layouts' | 'redis'>;
  readonly queue: Pick<WorkQueue, 'add' | 'remove'>;
  readonly clock: Clock;
}): ShardKeeper | null {
  if (layouts === null || redis === null) return null;
  const isGivenUp = async (layout: Layout) =>
    (await layouts.givenUp()).some((one) => one.shards.length === layout.shards.length);
  return {
    use: layouts.use,
    hasGivenUp: async () => (await layouts.givenUp()).length > 0,
    empty: async ({ goesOn }) => {
      const emptied: Emptied[] = [];
      for (const layout of await layouts.givenUp()) {
        const { done, moved } = await emptyLayout({
          redis,
          layout,
          add: ({ queue: name, authorizationId, reason, wakesAt }) => {
            const delayMs = wakesAt === null ? 0 : Math.max(0, clock.fromWall(wakesAt) - clock.now());
            return queue.add({ queue: name, authorizationId, reason, delayMs });
          },
          takeBack: queue.remove,
          goesOn: async () => (await goesOn()) && (await isGivenUp(layout)),
        });
        if (done) await layouts.forget(layout);
        emptied.push({ shards: layout.shards.length, moved, done });
      }
      return emptied;
    },
  };
}
