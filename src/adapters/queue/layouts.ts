import { z } from 'zod';
import { layoutsKey } from '../../contract/queue-keys.ts';
import { QUEUE_SHARDS_MAX } from '../../core/shard.ts';
import { type Layout, layoutOf } from './layout.ts';
import type { RedisClient } from './redis-connect.ts';
import { FORGET_LAYOUT_SCRIPT, LAYOUTS_SCRIPT, USE_LAYOUT_SCRIPT } from './redis-scripts.ts';

/** A layout from which no worker took for so long is given up. Workers say it three times in that time; a frozen one that comes back finds no job. */
const GIVEN_UP_AFTER_S = 60;

const repliesSchema = z.array(z.number());

/**
 * The layouts in use. Processes with another number of shards may run side by side, and what a layout holds stays when nobody takes from it any more: until it
 * is emptied, a purge has to look there too.
 */
export type Layouts = {
  /** Notes that this process uses its layout; to be called again and again. `takes` where it has workers. */
  readonly use: (how: { readonly takes: boolean }) => Promise<void>;
  /** All that may hold something, its own among them. */
  readonly known: () => Promise<readonly Layout[]>;
  /** Those from which nobody takes any more. */
  readonly givenUp: () => Promise<readonly Layout[]>;
  /** Forgets one that is empty, unless somebody has used it again. */
  readonly forget: (layout: Layout) => Promise<void>;
};

export function createLayouts({
  redis,
  own,
  prefix,
  cluster,
}: {
  readonly redis: RedisClient;
  readonly own: Layout;
  readonly prefix: string;
  readonly cluster: boolean;
}): Layouts {
  const key = layoutsKey(own.intake.prefix);
  const of = (shards: number): Layout => (shards === own.shards.length ? own : layoutOf({ prefix, shards, cluster }));
  const noted = async (): Promise<readonly { readonly layout: Layout; readonly idleS: number }[]> => {
    const replies = repliesSchema.parse(await redis.eval(LAYOUTS_SCRIPT, 1, key));
    return replies.flatMap((shards, at) => {
      const known = at % 2 === 0 && shards >= 1 && shards <= QUEUE_SHARDS_MAX;
      return known ? [{ layout: of(shards), idleS: replies[at + 1] ?? 0 }] : [];
    });
  };
  return {
    use: async ({ takes }) => {
      await redis.eval(USE_LAYOUT_SCRIPT, 1, key, own.shards.length, takes ? '1' : '0');
    },
    known: async () => [...new Set([own, ...(await noted()).map(({ layout }) => layout)])],
    givenUp: async () =>
      (await noted())
        .filter(({ layout, idleS }) => layout !== own && idleS > GIVEN_UP_AFTER_S)
        .map(({ layout }) => layout),
    forget: async ({ shards }) => {
      await redis.eval(FORGET_LAYOUT_SCRIPT, 1, key, shards.length, GIVEN_UP_AFTER_S);
    },
  };
}
