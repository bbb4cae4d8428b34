import type { Authorization } from '../core/authorization.ts';
import { adaptiveRangeOf, cadenceOf } from '../core/cadence.ts';
import type { Instant } from '../core/clock.ts';
import { type AdaptivePlan, isNews, type PullDecision } from '../core/decide-pull.ts';
import { PerennialError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { type NextRun, nextRunOf } from '../core/next-run.ts';
import type { JobOutcome } from '../core/ports/queue.ts';
import type { AuthorizationPatch, Plan } from '../core/ports/store.ts';
import type { PulledPatch } from './conclude.ts';
import { WORKER_ACTOR } from './context.ts';
import type { Work } from './work.ts';

/** What a run leaves behind that had nothing to pull. */
export const NOTHING_PULLED: PulledPatch = { failedRuns: 0, lastError: null };

/** The plan for the next pull, where its cadence adapts still. */
export function adaptivePlanOf({ context, authorization }: Work): AdaptivePlan | null {
  const { nextPullAt } = authorization;
  const range = nextPullAt === null ? null : adaptiveRangeOf(authorization, context.cadence);
  return range === null || nextPullAt === null ? null : { nextPullAt, minMs: range.minMs };
}

/** Writes down the next run: as of what was known, and where a refresh or a webhook has changed that meanwhile, as of what stands there now. */
export async function planRun({
  work,
  patch,
}: {
  readonly work: Work;
  readonly patch: PulledPatch;
}): Promise<JobOutcome> {
  const { context, authorization } = work;
  let standing = authorization;
  for (let tries = 0; tries < LIMITS.planTriesMax; tries += 1) {
    const outcome = await planAsOf({ work, patch, standing });
    if (outcome !== 'changed') return outcome;
    standing = (await context.store.get(authorization.id)) ?? authorization;
  }
  throw new PerennialError('internal', { field: 'plan' });
}

/** The end of a run that may be over with its new pair. */
export type RunEnd = {
  /** The plan to be written with a pair that makes this of the authorization; null where the run goes on, or where more has to be done for its plan. */
  readonly plan: (granted: AuthorizationPatch) => Promise<Plan | null>;
  /** What becomes of the job, once that plan is written. */
  readonly outcome: () => JobOutcome;
};

/** Most runs only keep a token alive: the pair and the plan are then one write, which gives the lease back too. */
export function createRunEnd({ work, decide }: { readonly work: Work; readonly decide: () => PullDecision }): RunEnd {
  const { held, authorization, context } = work;
  let planned: { readonly next: NextRun; readonly reason: string } | null = null;
  return {
    plan: async (granted) => {
      const decision = decide();
      const { periodMs } = authorization;
      const samePeriod = granted.periodMs === undefined || granted.periodMs === periodMs;
      if (decision.kind === 'pull' || periodMs === null || !samePeriod) return null;
      const { next, plan } = await makePlan({ work, patch: NOTHING_PULLED, standing: { ...authorization, periodMs } });
      planned = { next, reason: decision.reason };
      return plan;
    },
    outcome: () => {
      if (planned === null) throw new PerennialError('internal', { field: 'plan' });
      held.wasReleased();
      return outcomeOf({ clock: context.clock, ...planned });
    },
  };
}

/** Writes down the next run, and re-phases the repeating job where the refresh changed its period. */
async function planAsOf({
  work,
  patch,
  standing,
}: {
  readonly work: Work;
  readonly patch: PulledPatch;
  readonly standing: Authorization;
}): Promise<JobOutcome | 'changed'> {
  const { context, held, authorization } = work;
  const { id: authorizationId, phase } = authorization;
  const { periodMs } = standing;
  if (periodMs === null) return { kind: 'done', reason: 'not_repeating' };
  if (periodMs !== authorization.periodMs) await context.queue.schedule({ authorizationId, periodMs, phase });
  const { next, plan } = await makePlan({ work, patch, standing: { ...standing, periodMs } });
  const written = await context.store.updateAsOf({ ...held.fence, ...plan, actor: WORKER_ACTOR });
  if (written === 'changed') return written;
  if (written === 'superseded') return { kind: 'done', reason: written };
  held.wasReleased();
  return outcomeOf({ clock: context.clock, next, reason: 'pulled' });
}

async function makePlan({
  work,
  patch,
  standing,
}: {
  readonly work: Work;
  readonly patch: PulledPatch;
  readonly standing: Authorization & { readonly periodMs: number };
}): Promise<{ readonly plan: Plan; readonly next: NextRun }> {
  const { context, authorization } = work;
  const { queue, clock, owner } = context;
  const { id: authorizationId, phase } = authorization;
  const { periodMs, toldAt, doubtedVersion } = standing;
  const now = clock.now();
  const { lastPull = standing.lastPull } = patch;
  // They came while this run pulled, and no other job comes for them: theirs is this one.
  const news = toldAt !== null && isNews({ toldAt, pulledAt: lastPull?.at ?? null }) ? Math.max(now, toldAt) : null;
  const nextPullAt = news ?? (await nextPullOf({ work, patch }));
  const usual = nextRunOf({
    slot: queue.nextRunAt({ authorizationId, periodMs, phase }),
    nextPullAt,
    freshAsOf: patch.freshAsOf === undefined ? authorization.freshAsOf : patch.freshAsOf,
    lateAfterMs: cadenceOf(authorization, context.cadence).lateAfterMs,
    now,
  });
  // A doubt that came once the token was in hand: the pull is of a later moment, and has settled nothing.
  const soon = news ?? (doubtedVersion === authorization.doubtedVersion ? null : now);
  const next: NextRun = soon === null || soon >= usual.at ? usual : { at: soon, by: 'own_job' };
  const whole = { ...patch, nextRunAt: next.at, nextPullAt };
  return { next, plan: { patch: whole, release: { owner }, asOf: { periodMs, toldAt } } };
}

/** When to pull next, after a run that has pulled or left it out; null where its cadence does not adapt. */
async function nextPullOf({
  work,
  patch,
}: {
  readonly work: Work;
  readonly patch: PulledPatch;
}): Promise<Instant | null> {
  const { context, authorization } = work;
  const { lastPull = authorization.lastPull, freshAsOf } = patch;
  if (freshAsOf === undefined || freshAsOf === null) return adaptivePlanOf(work)?.nextPullAt ?? null;
  return lastPull?.result === 'complete' ? context.learner.plan({ authorization, pulledAt: freshAsOf }) : null;
}

/** This very job is the one that is needed early: it goes back, and no second one stands beside it. */
function outcomeOf({
  clock,
  next,
  reason,
}: {
  readonly clock: Work['context']['clock'];
  readonly next: NextRun;
  readonly reason: string;
}): JobOutcome {
  if (next.by === 'slot') return { kind: 'done', reason };
  const afterWallMs = Math.max(LIMITS.retryMinWallMs, clock.toWallMs(next.at - clock.now()));
  return { kind: 'again', afterWallMs, reason, asDue: true };
}
