import type { PlannedLoadView } from '../contract/plan-load.ts';
import type { CadenceTable } from '../core/cadence.ts';
import { UNITS } from '../core/limits.ts';
import { PLAN_LIMITS } from '../core/plan-limits.ts';
import { createLoadCounter, type LoadChange } from '../core/plan-load.ts';
import type { Context } from './context.ts';

/** What another cadence table would make of the fleet as it stands, told before it is applied. Reads the whole fleet a page at a time, and changes nothing. */
export async function planLoad({
  context: { store, clock, cadence: before },
  table: after,
}: {
  readonly context: Pick<Context, 'store' | 'clock' | 'cadence'>;
  readonly table: CadenceTable;
}): Promise<PlannedLoadView> {
  const now = clock.now();
  const counter = createLoadCounter({ before, after, now });
  let last: string | null = null;
  for (let page = 0; page < PLAN_LIMITS.pagesMax; page += 1) {
    const rows = await store.standing({ after: last, limit: PLAN_LIMITS.previewBatch });
    for (const row of rows) counter.add(row);
    last = rows.at(-1)?.id ?? null;
    if (last === null || rows.length < PLAN_LIMITS.previewBatch) break;
  }
  const { networks, endpoints, moreEndpoints, quarterHours } = counter.result();
  return {
    at: new Date(now).toISOString(),
    hours: PLAN_LIMITS.aheadMs / UNITS.HOUR_MS,
    networks: networks.map(viewOf),
    endpoints: endpoints.map(viewOf),
    moreEndpoints,
    quarterHours: { before: [...quarterHours.before], after: [...quarterHours.after] },
  };
}

function viewOf({ oldestAgeMs, ...change }: LoadChange): PlannedLoadView['networks'][number] {
  return { ...change, oldestAgeSeconds: oldestAgeMs === null ? null : oldestAgeMs / UNITS.SECOND_MS };
}
