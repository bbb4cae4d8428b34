import { codeOf } from '../src/core/errors.ts';
import { LIMITS } from '../src/core/limits.ts';
import { createMarks, type Marks } from '../src/flows/marks.ts';
import { isMuch, PASS_START, type PassPlace, type Reconciling, reconcilePage } from '../src/flows/reconcile.ts';

type Keeping = Reconciling & { readonly marks: Marks };

/**
 * Compares store and queue over and over until the signal aborts, and repairs the queue. One worker at a time has this duty; the others ask for it each second.
 * It hurries where all may be lost: when the queue's mark is not the store's, when the last pass is long ago, and once a page shows much drift.
 */
export async function runReconciler(reconciling: Reconciling): Promise<void> {
  const { context, signal } = reconciling;
  const { clock, log } = context;
  while (!signal.aborted) {
    try {
      if (await keepDuty(reconciling))
        await passAgainAndAgain({ ...reconciling, marks: await createMarks(reconciling) });
    } catch (error) {
      log.error('reconcile_failed', { code: codeOf(error) });
    }
    await clock.sleep(LIMITS.dutyAskEveryMs, signal);
  }
  await giveUpDuty(reconciling);
}

/** Until the duty is lost, or the process is told to stop. */
async function passAgainAndAgain(keeping: Keeping): Promise<void> {
  const { signal, marks } = keeping;
  let hurry = marks.isOwed();
  while (!signal.aborted) {
    const end = await onePass({ ...keeping, hurry });
    if (end === 'duty_lost') return;
    const rested = end === 'complete' ? await rest({ ...keeping, forMs: LIMITS.reconcilePassEveryMs }) : end;
    if (rested === 'duty_lost') return;
    hurry = rested === 'mark_lost';
  }
}

async function onePass({
  hurry: hurries,
  ...keeping
}: Keeping & { readonly hurry: boolean }): Promise<'complete' | 'mark_lost' | 'duty_lost'> {
  const { context, signal, marks } = keeping;
  const took = context.clock.stopwatch();
  let [hurry, authorizations, drift] = [hurries, 0, 0];
  if (hurry) await marks.begin();
  for (let at: PassPlace | null = PASS_START; at !== null; ) {
    const page = await reconcilePage({ ...keeping, at });
    if (at.part === 'authorizations') authorizations += page.looked;
    drift += page.repaired;
    hurry ||= isMuch(page);
    at = page.next;
    const end =
      at === null || hurry ? await glance(keeping) : await rest({ ...keeping, forMs: LIMITS.reconcilePageEveryMs });
    if (end !== 'rested') return end;
    if (signal.aborted) return 'duty_lost';
  }
  await marks.passed({ authorizations, drift });
  if (drift > 0 || hurries)
    context.log.info('reconciled', { count: authorizations, modified: drift, durationMs: took() });
  return 'complete';
}

/** Waits, and looks meanwhile whether the duty is still ours and the queue still the one that we know. */
async function rest({
  forMs,
  ...keeping
}: Keeping & { readonly forMs: number }): Promise<'rested' | 'mark_lost' | 'duty_lost'> {
  const { clock } = keeping.context;
  for (const rested = clock.stopwatch(); rested() < forMs && !keeping.signal.aborted; ) {
    await clock.sleep(Math.min(LIMITS.markLookEveryMs, forMs), keeping.signal);
    const seen = await glance(keeping);
    if (seen !== 'rested') return seen;
  }
  return 'rested';
}

async function glance(keeping: Keeping): Promise<'rested' | 'mark_lost' | 'duty_lost'> {
  if (!(await keepDuty(keeping))) return 'duty_lost';
  return (await keeping.marks.isKept()) ? 'rested' : 'mark_lost';
}

function keepDuty({ context: { store, owner } }: Pick<Reconciling, 'context'>): Promise<boolean> {
  return store.takeDuty({ name: 'reconcile', owner, leaseMs: LIMITS.dutyLeaseMs });
}

async function giveUpDuty({ context: { store, owner, log } }: Reconciling): Promise<void> {
  try {
    await store.releaseDuty({ name: 'reconcile', owner });
  } catch (error) {
    log.warn('duty_not_released', { code: codeOf(error), reason: 'it_ends_by_itself' });
  }
}
