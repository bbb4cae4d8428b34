import { promisesOf } from '../core/cadence.ts';
import { catchUpAt } from '../core/catch-up.ts';
import type { Instant } from '../core/clock.ts';
import { LIMITS } from '../core/limits.ts';
import type { Duty } from '../core/ports/fleet.ts';
import type { Context } from './context.ts';

type CatchingUp = { readonly context: Context; readonly signal: AbortSignal };

const NAME: Duty = 'catch_up';

type Holding = { readonly name: Duty; readonly owner: string };

/**
 * After downtime: gives every overdue run a new instant, nearest deadline first and spread (core/catch-up.ts), so that jobs which all wake at once wait for
 * theirs. A few overdue runs just run. One call of one worker does it for all; with `waits` the others come back when it is done.
 */
export async function catchUp({
  context,
  signal,
  waits,
}: CatchingUp & { readonly waits: boolean }): Promise<'few' | 'planned' | 'elsewhere'> {
  const { store, clock, entropy } = context;
  // Of this call alone: the looks of one worker overlap.
  const duty = { name: NAME, owner: `${context.owner}/${entropy.id()}` } as const;
  const since = clock.stopwatch();
  while (!signal.aborted && since() < LIMITS.catchUpWaitMs) {
    const overdue = await store.countOverdue({ before: overdueBefore(context), limit: LIMITS.catchUpAbove + 1 });
    if (overdue <= LIMITS.catchUpAbove) return 'few';
    if (await keepDuty({ context, duty })) {
      try {
        await planAnew({ context, signal, duty });
        return 'planned';
      } finally {
        await store.releaseDuty(duty);
      }
    }
    if (!waits) return 'elsewhere';
    await clock.sleep(LIMITS.dutyAskEveryMs, signal);
  }
  return 'elsewhere';
}

async function planAnew({ context, signal, duty }: CatchingUp & { readonly duty: Holding }): Promise<void> {
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
    lateAfter: promisesOf(context.cadence),
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
    if (!(await keepDuty({ context, duty }))) break;
  }
  log.warn('catch_up', { count: planned });
}

function overdueBefore({ clock }: Context): Instant {
  return clock.fromWall(clock.wallNow() - LIMITS.overdueGraceMs);
}

function keepDuty({ context, duty }: { readonly context: Context; readonly duty: Holding }): Promise<boolean> {
  return context.store.takeDuty({ ...duty, leaseMs: LIMITS.catchUpLeaseMs });
}
