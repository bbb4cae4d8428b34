import type { Authorization } from '../core/authorization.ts';
import { codeOf } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import type { JobOutcome } from '../core/ports/queue.ts';
import { lookAtEnds } from './calendar.ts';
import { type Context, WORKER_ACTOR } from './context.ts';
import { withLease } from './lease.ts';
import { purge } from './purge.ts';
import { recover } from './recover.ts';
import { enqueueJobs } from './schedule.ts';

/** One look at the store. */
export type Sweep = (look: { readonly context: Context; readonly signal: AbortSignal }) => Promise<void>;

/**
 * The looks at the store for what the queue should have done and did not: purges past their deadline, refreshes that a crash left open, runs
 * that never came; and for ends that come nearer. The store is the truth, so these alone bring a fleet back after losing all of Redis. Each stands alone, so that a token endpoint
 * that hangs delays no purge. Safe in any number of workers at once: the lease decides who acts.
 */
export const SWEEPS: readonly Sweep[] = [sweepPurges, sweepIntents, sweepRuns, sweepEnds];

async function sweepPurges({
  context,
  signal,
}: {
  readonly context: Context;
  readonly signal: AbortSignal;
}): Promise<void> {
  const due = await context.store.duePurges({ now: context.clock.now(), limit: LIMITS.sweepBatch });
  await eachOf(due, signal, (authorizationId) =>
    attempt({ context, what: 'purge', authorizationId, act: () => purge({ context, authorizationId, signal }) }),
  );
}

async function sweepIntents({
  context,
  signal,
}: {
  readonly context: Context;
  readonly signal: AbortSignal;
}): Promise<void> {
  const orphans = await context.store.orphanIntents({ limit: LIMITS.sweepBatch });
  await eachOf(orphans, signal, (authorizationId) =>
    attempt({ context, what: 'refresh', authorizationId, act: () => recover({ context, authorizationId, signal }) }),
  );
}

async function sweepRuns({
  context,
  signal,
}: {
  readonly context: Context;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { clock, store } = context;
  const before = clock.fromWall(clock.wallNow() - LIMITS.overdueGraceMs);
  const overdue = await store.overdueRuns({ before, limit: LIMITS.sweepBatch });
  await eachOf(overdue, signal, (authorization) =>
    attempt({
      context,
      what: 'run',
      authorizationId: authorization.id,
      act: () => repairRun({ context, authorization, signal }),
    }),
  );
}

async function sweepEnds({
  context,
  signal,
}: {
  readonly context: Context;
  readonly signal: AbortSignal;
}): Promise<void> {
  const due = await context.store.dueWarnings({ now: context.clock.now(), limit: LIMITS.sweepBatch });
  await eachOf(due, signal, ({ id: authorizationId }) =>
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

/** Works on a batch with {@link LIMITS.sweepConcurrency} hands, so that one that hangs keeps only its own hand. */
async function eachOf<T>(items: readonly T[], signal: AbortSignal, act: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const hand = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined && !signal.aborted; item = left.shift()) await act(item);
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
    if (what !== 'end') metrics.repaired({ what });
    log.info('swept', { authorizationId, job: what, reason: outcome.reason });
  } catch (error) {
    log.error('sweep_failed', { authorizationId, job: what, code: codeOf(error) });
  }
}
