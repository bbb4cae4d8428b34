import type { FoundPage, Held, QueueCensus } from '../../core/ports/census.ts';
import type { Clock } from '../../core/ports/clock.ts';
import { slotOf } from '../../core/slot.ts';
import type { QueueBackend } from './bullmq-parts.ts';
import type { CensusPlace } from './census-place.ts';
import type { Layout } from './layout.ts';
import { REPEATING } from './trail.ts';
import { usableOn } from './usable.ts';
import type { OpenWorkQueue } from './work-queue.ts';

/** The QueueCensus port over all parts of the queues. */
export function createCensus({
  backend,
  queue,
  clock,
}: {
  readonly backend: QueueBackend;
  readonly queue: Pick<OpenWorkQueue, 'queueOf'>;
  readonly clock: Clock;
}): QueueCensus {
  const { layout } = backend;
  const places = layout.shards.map((shard) => ({ shard, place: backend.censusOf(shard) }));
  const usable = usableOn(backend);
  return {
    look: (ids) => usable(() => look({ ids, places, layout })),
    walk: (after) =>
      usable(() =>
        walk({
          places: places.map(({ place }) => place),
          after,
        }),
      ),
    restore: (job) => usable(() => restore({ queue, job, clock })),
    drop: ({ authorizationId, ...job }) =>
      usable(async () => {
        const shard = layout.shardOf(authorizationId);
        return (await places.find((one) => one.shard === shard)?.place.drop(job)) ?? false;
      }),
    mark: () =>
      usable(async () => {
        const [first = null, ...others] = await Promise.all(places.map(({ place }) => place.mark()));
        return others.every((mark) => mark === first) ? first : null;
      }),
    setMark: (mark) => usable(async () => void (await Promise.all(places.map(({ place }) => place.setMark(mark))))),
  };
}

async function look({
  ids,
  places,
  layout,
}: {
  readonly ids: readonly string[];
  readonly places: readonly { readonly shard: Layout['intake']; readonly place: CensusPlace }[];
  readonly layout: Layout;
}): Promise<ReadonlyMap<string, Held>> {
  const byShard = Map.groupBy(ids, layout.shardOf);
  const found = await Promise.all(
    places.map(async ({ shard, place }) => {
      const own = byShard.get(shard);
      return own === undefined ? [] : [...(await place.look(own))];
    }),
  );
  return new Map(found.flat());
}

/** Part by part; a place on the walk begins with the number of its part. */
async function walk({
  places,
  after,
}: {
  readonly places: readonly CensusPlace[];
  readonly after: string | null;
}): Promise<FoundPage> {
  const [, number = '0', rest = ''] = /^(\d+)@(.*)$/s.exec(after ?? '') ?? [];
  const index = Number(number);
  const page = await places[index]?.walk(rest === '' ? null : rest);
  if (page === undefined) return { found: [], after: null };
  if (page.after !== null) return { ...page, after: `${index}@${page.after}` };
  return { ...page, after: index + 1 < places.length ? `${index + 1}@` : null };
}

/**
 * Removed and made again: a scheduler written over keeps what is wrong with it (a pending job that is gone while its slot lies ahead, a slot of another phase),
 * or runs at once. A new one with an offset begins at its next slot. What dies in between is missing, and found by the next pass.
 */
async function restore({
  queue,
  job: { authorizationId: id, periodMs, phase, instead },
  clock,
}: {
  readonly queue: Pick<OpenWorkQueue, 'queueOf'>;
  readonly job: Parameters<QueueCensus['restore']>[0];
  readonly clock: Clock;
}): Promise<void> {
  const repeating = queue.queueOf(REPEATING, id);
  const { every, offset } = slotOf({
    id,
    everyMs: clock.toWallMs(periodMs),
    now: clock.wallNow(),
    ...(phase === undefined ? {} : { phase }),
  });
  if (instead === 'something') await repeating.removeJobScheduler(id);
  const template = { name: REPEATING, data: { authorizationId: id, reason: 'due' } };
  await repeating.upsertJobScheduler(id, { every, offset }, template);
}
