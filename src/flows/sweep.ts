import type { Authorization } from '../core/authorization.ts';
import { codeOf } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import type { JobOutcome } from '../core/ports/queue.ts';
import { lookAtEnds } from './calendar.ts';
import { catchUp } from './catch-up.ts';
import { type Context, WORKER_ACTOR } from './context.ts';
import { withLease } from './lease.ts';
import { purge } from './purge.ts';
import { recover } from './recover.ts';
import { enqueueJobs } from './schedule.ts';

/** One look at the store. `underWay` names what earlier looks of its kind still work on. */
export type Sweep = (look: Look) => Promise<void>;
type Look = { readonly context: Context; readonly signal: AbortSignal; readonly underWay?: Set<string> };

/**
 * The looks at the store for what the queue should have done and did not: purges past their deadline, refreshes that a crash left open, runs
 * that never came; and for ends that come nearer. The store is the truth, so these alone bring a fleet back after losing all of Redis. Each stands alone, so that a token endpoint
 * that hangs delays no purge. Safe in any number of workers at once: the lease decides who acts.
 */
export const URGENT_SWEEPS: readonly Sweep[] = [sweepPurges, sweepIntents, sweepEnds];

async function sweepPurges({ context, signal, underWay }: Look): Promise<void> {
  const due = await context.store.duePurges({ now: context.clock.now(), limit: LIMITS.sweepBatch });
  await eachOf({ ids: due, signal, underWay }, (authorizationId) =>
    attempt({ context, what: 'purge', authorizationId, act: () => purge({ context, authorizationId, signal }) }),
  );
}

async function sweepIntents({ context, signal, underWay }: Look): Promise<void> {
  const orphans = await context.store.orphanIntents({ limit: LIMITS.sweepBatch });
  await eachOf({ ids: orphans, signal, underWay }, (authorizationId) =>
    attempt({ context, what: 'refresh', authorizationId, act: () => recover({ context, authorizationId, signal }) }),
  );
}

/** Looks for runs that never came. */
export async function sweepRuns({ context, signal, underWay }: Look): Promise<void> {
  const { clock, store } = context;
  const before = clock.fromWall(clock.wallNow() - LIMITS.overdueGraceMs);
  const overdue = await store.overdueRuns({ before, limit: LIMITS.sweepBatch });
  // So many at once are an outage that is over: run now, they would all run together.
  if (overdue.length >= LIMITS.sweepBatch && (await catchUp({ context, signal, waits: false })) !== 'few') return;
  const byId = new Map(overdue.map((authorization) => [authorization.id, authorization]));
  await eachOf({ ids: [...byId.keys()], signal, underWay }, async (authorizationId) => {
    const authorization = byId.get(authorizationId);
    if (authorization === undefined) return;
    const act = () => repairRun({ context, authorization, signal });
    await attempt({ context, what: 'run', authorizationId, act });
  });
}

async function sweepEnds({ context, signal, underWay }: Look): Promise<void> {
  const due = await context.store.dueWarnings({ now: context.clock.now(), limit: LIMITS.sweepBatch });
  const ids = due.map(({ id }) => id);
  await eachOf({ ids, signal, underWay }, (authorizationId) =>
    attempt({ context, what: 'end', authorizationId, act: () => lookAtEnds({ context, authorizationId, signal }) }),
  );
}

/** Gives a run that never came its jobs back. Under the lease: what is running is not lost; and the plan is moved, so that one sweep repairs it once. */
async function repairRun({
  context,
  authorization,
  signal,
}: {
  readonly context: Context;
  readonly authorization: Authorization;
  readonly signal: AbortSignal;
}): Promise<JobOutcome> {
  const outcome = await withLease({ context, authorizationId: authorization.id, signal }, ({ fence }) =>
    context.store.update({ ...fence, patch: { nextRunAt: context.clock.now() }, actor: WORKER_ACTOR }),
  );
  if (outcome.kind === 'taken') return { kind: 'again', afterWallMs: LIMITS.leaseTakenRetryMs, reason: 'lease_taken' };
  await enqueueJobs({ context, authorization, reason: 'repaired' });
  return { kind: 'done', reason: 'run_was_overdue' };
}

/** Works on a batch with {@link LIMITS.sweepConcurrency} hands, so that one that hangs keeps only its own hand; what an earlier look still works on is left to it. */
async function eachOf(
  {
    ids,
    signal,
    underWay = new Set(),
  }: { readonly ids: readonly string[]; readonly signal: AbortSignal; readonly underWay?: Set<string> | undefined },
  act: (id: string) => Promise<void>,
): Promise<void> {
  const left = ids.filter((id) => !underWay.has(id));
  const hand = async (): Promise<void> => {
    for (let id = left.shift(); id !== undefined && !signal.aborted; id = left.shift()) {
      if (underWay.has(id)) continue;
      underWay.add(id);
      await act(id).finally(() => underWay.delete(id));
    }
  };
  await Promise.all(Array.from({ length: LIMITS.sweepConcurrency }, hand));
}

async function attempt({
  context: { log, metrics },
  what,
  authorizationId,
  act,
}: {
  readonly context: Context;
  readonly what: 'purge' | 'refresh' | 'run' | 'end';
  readonly authorizationId: string;
  readonly act: () => Promise<JobOutcome>;
}): Promise<void> {
  try {
    const outcome = await act();
    if (outcome.kind !== 'done') return;
    // Purges end here as a rule: the job only begins them.
    if (what === 'refresh' || what === 'run') metrics.repaired({ what });
    log.info('swept', { authorizationId, job: what, reason: outcome.reason });
  } catch (error) {
    log.error('sweep_failed', { authorizationId, job: what, code: codeOf(error) });
  }
}
