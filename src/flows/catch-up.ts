import { cadenceOf } from '../core/cadence.ts';
import { catchUpAt } from '../core/catch-up.ts';
import type { Instant } from '../core/clock.ts';
import { LIMITS } from '../core/limits.ts';
import { NETWORKS, type NetworkName } from '../core/networks.ts';
import type { Duty, LateAfter } from '../core/ports/fleet.ts';
import type { Context } from './context.ts';

type CatchingUp = { readonly context: Context; readonly signal: AbortSignal };

const NAME: Duty = 'catch_up';

/**
 * After downtime: gives every overdue run a new instant, nearest deadline first and spread (core/catch-up.ts), so that jobs which all wake at once wait for
 * theirs. A few overdue runs just run. One worker does it for all; with `waits` the others come back when it is done. Says how many it planned anew.
 */
export async function catchUp({ context, signal, waits }: CatchingUp & { readonly waits: boolean }): Promise<number> {
  const { store, clock, owner } = context;
  const since = clock.stopwatch();
  while (!signal.aborted && since() < LIMITS.catchUpWaitMs) {
    const overdue = await store.countOverdue({ before: overdueBefore(context), limit: LIMITS.catchUpAbove + 1 });
    if (overdue <= LIMITS.catchUpAbove) return 0;
    if (await keepDuty(context)) {
      try {
        return await planAnew({ context, signal });
      } finally {
        await store.releaseDuty({ name: NAME, owner });
      }
    }
    if (!waits) return 0;
    await clock.sleep(LIMITS.dutyAskEveryMs, signal);
  }
  return 0;
}

async function planAnew({ context, signal }: CatchingUp): Promise<number> {
  const { store, clock, queue, log } = context;
  const before = overdueBefore(context);
  const now = clock.now();
  // Of the wall: it is what the fleet and the sources carry.
  const spacingMs = clock.fromWall(LIMITS.catchUpSpacingMs) - clock.fromWall(0);
  const limit = LIMITS.catchUpPageSize;
  const backlog = await store.countOverdue({ before, limit: limit * LIMITS.catchUpPagesMax });
  const wanted = {
    before,
    now,
    urgentBefore: now + 2 * LIMITS.catchUpWithinMs,
    lateAfter: lateAfterOf(context),
    limit,
  };
  let planned = 0;
  for (let page = 0, ranked = 0; page < LIMITS.catchUpPagesMax && !signal.aborted; page += 1) {
    const overdue = await store.overdueByDeadline(wanted);
    if (overdue.length === 0) break;
    const first = ranked;
    const plans = overdue.map(({ id, periodMs, phase }, index) => {
      const slot = queue.nextRunAt({ authorizationId: id, periodMs, phase });
      return { id, nextRunAt: catchUpAt({ rank: first + index, backlog, spacingMs, slot, now }) };
    });
    planned += await store.replan({ before, plans });
    ranked += overdue.length;
    if (!(await keepDuty(context))) break;
  }
  log.warn('catch_up', { count: planned });
  return planned;
}

function overdueBefore({ clock }: Context): Instant {
  return clock.fromWall(clock.wallNow() - LIMITS.overdueGraceMs);
}

function keepDuty({ store, owner }: Context): Promise<boolean> {
  return store.takeDuty({ name: NAME, owner, leaseMs: LIMITS.catchUpLeaseMs });
}

/** When records are late by the cadence table as it is now, for the store to order by. */
function lateAfterOf({ cadence }: Context): LateAfter {
  const lateAfter = (network: NetworkName) =>
    cadenceOf({ network, endpoint: { id: '' }, cadence: {} }, cadence).lateAfterMs;
  const networks = Object.fromEntries(NETWORKS.map((network) => [network, lateAfter(network)]));
  const endpoints = Object.entries(cadence.endpoints).flatMap(([id, { lateAfterMs }]) =>
    lateAfterMs === undefined ? [] : [[id, lateAfterMs] as const],
  );
  return { networks, endpoints: Object.fromEntries(endpoints) };
}
