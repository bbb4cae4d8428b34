import type { OpenWorkQueue } from '../adapters/queue/work-queue.ts';
import type { Telemetry } from '../adapters/telemetry/metrics.ts';
import { LIMITS, UNITS } from '../core/limits.ts';
import type { Context } from '../flows/context.ts';
import { freshnessOf, purgesOf } from '../flows/fleet.ts';
import { latest } from './latest.ts';
import { sparing } from './sparing.ts';

/** What is asked for at each scrape of the metrics. */
export function gaugesOf({
  context,
  queue,
}: {
  readonly context: Context;
  readonly queue: OpenWorkQueue;
}): Parameters<Telemetry['setGauges']>[0] {
  const { store, clock, warnDays } = context;
  // Of a million rows these are the counts that have to walk through some of them.
  const counted = sparing({
    clock,
    ask: async () => ({ states: await store.countByState(), ends: await countEnds() }),
  });
  const countEnds = () =>
    Promise.all(
      warnDays.map(async (days) => {
        const before = clock.now() + days * UNITS.DAY_MS;
        return [days, await store.countEnding({ before })] as const;
      }),
    );
  const lags = sparing({ clock, ask: () => purgesOf(context) });
  const ages = latest(sparing({ clock, ask: () => freshnessOf(context) }));
  return async () => {
    const queueJobs = await countJobs(queue);
    const freshness = ages();
    const overdue = await store.duePurges({ now: clock.now(), limit: LIMITS.overdueCountMax });
    const oldest = await store.oldestFreshAsOf();
    const { states, ends } = await counted();
    const { lagSeconds, oldestUnpurgedSeconds, alert } = await lags();
    return {
      authorizationsByState: states,
      lastPass: (await store.reconciled()).lastPass,
      queueJobs,
      sourceConditions: await store.sourceStates(),
      gates: context.gates.states(),
      endingWithinDays: Object.fromEntries(ends),
      ...(freshness === undefined ? {} : { freshness }),
      purgesOverdue: overdue.length,
      purgeLag: { lagSeconds, oldestUnpurgedSeconds: oldestUnpurgedSeconds ?? 0, alert },
      oldestRecordAgeSeconds: oldest === null ? 0 : Math.max(0, clock.now() - oldest) / UNITS.SECOND_MS,
    };
  };
}

/** The jobs of each queue by state, all its shards together. */
async function countJobs({ queues }: OpenWorkQueue): Promise<Record<string, Record<string, number>>> {
  const sums: Record<string, Record<string, number>> = {};
  const counts = await Promise.all(queues.map(async ({ name, queue }) => ({ name, of: await queue.getJobCounts() })));
  for (const { name, of } of counts) {
    const sum = sums[name] ?? {};
    sums[name] = sum;
    for (const [state, count] of Object.entries(of)) sum[state] = (sum[state] ?? 0) + count;
  }
  return sums;
}
