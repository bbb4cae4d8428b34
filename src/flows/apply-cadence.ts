import { cadenceOf } from '../core/cadence.ts';
import { decidePeriod } from '../core/decide-period.ts';
import { codeOf } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { PLAN_LIMITS } from '../core/plan-limits.ts';
import type { PlannedRow } from '../core/plan-load.ts';
import type { Duty } from '../core/ports/fleet.ts';
import { type Context, WORKER_ACTOR } from './context.ts';
import { withLease } from './lease.ts';

type Applying = { readonly context: Context; readonly signal: AbortSignal };

const NAME: Duty = 'apply_cadence';

/**
 * Gives every standing authorization the period that the cadence table has for it now, and a run that fits (core/decide-period.ts); without this each would change
 * at its next refresh, on top of those that have not changed yet. Once after a start, by one worker for all; what it does not come to changes at its next refresh
 * as well. Says how many it moved. Never rejects.
 */
export async function applyCadence({ context, signal }: Applying): Promise<number> {
  const { store, owner, log } = context;
  let moved = 0;
  try {
    if (!(await keepDuty(context))) return 0;
    let after: string | null = null;
    for (let page = 0; page < PLAN_LIMITS.pagesMax && !signal.aborted; page += 1) {
      const rows = await store.standing({ after, limit: PLAN_LIMITS.applyBatch });
      moved += await movePage({ context, signal, rows });
      after = rows.at(-1)?.id ?? null;
      if (rows.length < PLAN_LIMITS.applyBatch || !(await keepDuty(context))) break;
    }
    await store.releaseDuty({ name: NAME, owner });
  } catch (error) {
    log.warn('cadence_not_applied', { code: codeOf(error), reason: 'the next refresh of each does' });
  }
  if (moved > 0) log.info('cadence_applied', { count: moved });
  return moved;
}

function keepDuty({ store, owner }: Context): Promise<boolean> {
  return store.takeDuty({ name: NAME, owner, leaseMs: PLAN_LIMITS.applyLeaseMs });
}

async function movePage({
  context,
  signal,
  rows,
}: Applying & { readonly rows: readonly PlannedRow[] }): Promise<number> {
  const wrong = rows.filter((row) => decide(context, row).kind === 'move');
  let moved = 0;
  const hand = async (): Promise<void> => {
    for (let row = wrong.shift(); row !== undefined && !signal.aborted; row = wrong.shift()) {
      if (await move({ context, signal, row })) moved += 1;
    }
  };
  await Promise.all(Array.from({ length: LIMITS.sweepConcurrency }, hand));
  return moved;
}

/** Under the lease, so that no run writes its plan in between; one that runs now takes its new period at its next refresh. */
async function move({ context, signal, row }: Applying & { readonly row: PlannedRow }): Promise<boolean> {
  const { store, queue, clock } = context;
  const { id: authorizationId, phase } = row;
  const outcome = await withLease({ context, authorizationId, signal }, async ({ fence }) => {
    const standing = await store.get(authorizationId);
    if (standing === null || standing.state !== 'active' || standing.periodMs !== row.periodMs) return null;
    const { nextRunAt, nextPullAt, freshAsOf } = standing;
    const decision = decide(context, { ...row, nextRunAt, nextPullAt, freshAsOf });
    if (decision.kind === 'keep') return null;
    const patch = { periodMs: decision.periodMs, nextRunAt: decision.next.at };
    return (await store.update({ ...fence, patch, actor: WORKER_ACTOR })) === 'committed' ? decision : null;
  });
  if (outcome.kind === 'taken' || outcome.value === null) return false;
  const { periodMs, next } = outcome.value;
  await queue.schedule({ authorizationId, periodMs, phase });
  if (next.by === 'own_job') {
    const delayMs = Math.max(0, next.at - clock.now());
    await queue.add({ queue: 'refresh-and-pull', authorizationId, reason: 'repaired', delayMs });
  }
  return true;
}

function decide({ cadence, clock }: Context, row: PlannedRow) {
  return decidePeriod({ standing: row, tokens: row, cadence: cadenceOf(row, cadence), now: clock.now() });
}
