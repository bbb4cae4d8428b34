import type { Authorization } from '../core/authorization.ts';
import { adaptiveRangeOf, cadenceOf } from '../core/cadence.ts';
import type { Instant } from '../core/clock.ts';
import { type AdaptivePlan, decidePull, isNews } from '../core/decide-pull.ts';
import { decideRun } from '../core/decide-run.ts';
import { PerennialError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { type NextRun, nextRunOf } from '../core/next-run.ts';
import type { JobOutcome } from '../core/ports/queue.ts';
import { concludePull, notGiven, type PulledPatch } from './conclude.ts';
import { type Context, WORKER_ACTOR } from './context.ts';
import { pullRecords } from './pull.ts';
import { noteTrouble } from './put-back.ts';
import { ensureAccessToken } from './refresh.ts';
import { takeUp } from './take-up.ts';
import { throughGate } from './through-gate.ts';
import { createTokenGiver } from './token-giver.ts';
import type { Work } from './work.ts';

/**
 * One run of a MULTIPLE authorization's repeating job: refreshes its tokens if they would not last until the next run, and pulls its
 * records if they are due.
 */
export function refreshAndPull({
  context,
  authorizationId,
  askedFor,
  doubted = false,
  signal,
}: {
  readonly context: Context;
  readonly authorizationId: string;
  /** Somebody wants everything read now. */
  readonly askedFor: boolean;
  /** Somebody says that the grant is over: its refresh token is offered now, and what the source answers settles it. */
  readonly doubted?: boolean;
  readonly signal: AbortSignal;
}): Promise<JobOutcome> {
  return takeUp({ context, authorizationId, signal, wanted: 'active' }, async (work) => {
    const { authorization } = work;
    const { periodMs, phase, nextRunAt, toldAt, lastPull } = authorization;
    if (periodMs === null) return { kind: 'done', reason: 'not_repeating' };
    const neededUntil = context.queue.nextRunAt({ authorizationId, periodMs, phase });
    const wanted = askedFor || doubted || isNews({ toldAt, pulledAt: lastPull?.at ?? null });
    const run = decideRun({ nextRunAt, slot: neededUntil, askedFor: wanted, now: context.clock.now() });
    if (run.kind === 'not_yet')
      return waitForPlan({ context, until: run.until, slot: neededUntil, reason: run.reason });
    return throughGate({ work, needs: 'pages', askedFor }, (inside) =>
      refreshThenPull({ work: inside, neededUntil, askedFor, doubted }),
    );
  });
}

async function refreshThenPull({
  work,
  neededUntil,
  askedFor,
  doubted,
}: {
  readonly work: Work;
  readonly neededUntil: Instant;
  readonly askedFor: boolean;
  readonly doubted: boolean;
}): Promise<JobOutcome> {
  const { context, authorization } = work;
  const access = await ensureAccessToken({ ...work, neededUntil, rejected: doubted, asTaken: work.held.standing });
  const given = access.kind === 'later' ? access.meanwhile : access.kind === 'token' ? access : null;
  // A token endpoint that is away does not keep the records waiting while the token in hand still serves.
  const failed = access.kind === 'token' ? null : access;
  if (given === null)
    return failed === null ? { kind: 'done', reason: 'superseded' } : notGiven({ work, access: failed });
  const going = failed?.kind === 'later' ? await noteTrouble({ work, ...failed }) : work;
  const decision = decidePull({
    authorization,
    cadence: cadenceOf(authorization, context.cadence),
    askedFor,
    nextRunAt: neededUntil,
    adaptive: adaptivePlanOf(work),
    toldAt: authorization.toldAt,
    now: context.clock.now(),
  });
  const finish = async (patch: PulledPatch): Promise<JobOutcome> => {
    if (failed === null) return plan({ work, patch });
    const outcome = await notGiven({ work: going, access: failed, patch });
    return outcome.kind === 'again' ? { ...outcome, asDue: true } : outcome;
  };
  if (decision.kind === 'skip') {
    const outcome = await finish({ failedRuns: 0, lastError: null });
    return outcome.kind === 'done' ? { kind: 'done', reason: decision.reason } : outcome;
  }
  const startedAt = context.clock.now();
  const giver = createTokenGiver({ work: going, first: given, neededUntil, refreshFails: failed !== null });
  const report = await pullRecords({ work: going, giveToken: giver.give, wantsFull: askedFor });
  return concludePull({ work: going, report, startedAt, lost: giver.lost(), finish });
}

/** A run that the queue woke early: the repeating job comes again by itself, and a plan before its next slot needs this job. */
function waitForPlan({
  context: { clock },
  until,
  slot,
  reason,
}: {
  readonly context: Context;
  readonly until: Instant;
  readonly slot: Instant;
  readonly reason: string;
}): JobOutcome {
  if (slot <= until) return { kind: 'done', reason };
  return { kind: 'again', afterWallMs: Math.max(LIMITS.retryMinWallMs, clock.toWallMs(until - clock.now())), reason };
}

/** The plan for the next pull, where its cadence adapts still. */
function adaptivePlanOf({ context, authorization }: Work): AdaptivePlan | null {
  const { nextPullAt } = authorization;
  const range = nextPullAt === null ? null : adaptiveRangeOf(authorization, context.cadence);
  return range === null || nextPullAt === null ? null : { nextPullAt, minMs: range.minMs };
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

/** Writes down the next run: as of what was known, and where a refresh or a webhook has changed that meanwhile, as of what stands there now. */
async function plan({ work, patch }: { readonly work: Work; readonly patch: PulledPatch }): Promise<JobOutcome> {
  const { context, authorization } = work;
  let standing = authorization;
  for (let tries = 0; tries < LIMITS.planTriesMax; tries += 1) {
    const outcome = await planAsOf({ work, patch, standing });
    if (outcome !== 'changed') return outcome;
    standing = (await context.store.get(authorization.id)) ?? authorization;
  }
  throw new PerennialError('internal', { field: 'plan' });
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
  const { store, queue, clock, owner } = context;
  const { id: authorizationId, phase } = authorization;
  const { periodMs } = standing;
  if (periodMs === null) return { kind: 'done', reason: 'not_repeating' };
  if (periodMs !== authorization.periodMs) await queue.schedule({ authorizationId, periodMs, phase });
  const now = clock.now();
  const { toldAt } = standing;
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
  const next: NextRun = news === null || news >= usual.at ? usual : { at: news, by: 'own_job' };
  const whole = { ...patch, nextRunAt: next.at, nextPullAt };
  const asOf = { periodMs, toldAt };
  const written = await store.updateAsOf({
    ...held.fence,
    patch: whole,
    actor: WORKER_ACTOR,
    release: { owner },
    asOf,
  });
  if (written === 'changed') return written;
  if (written === 'superseded') return { kind: 'done', reason: written };
  held.wasReleased();
  // This very job is the one that is needed early: it goes back, and no second one stands beside it.
  if (next.by === 'own_job') {
    const afterWallMs = Math.max(LIMITS.retryMinWallMs, clock.toWallMs(next.at - now));
    return { kind: 'again', afterWallMs, reason: 'pulled', asDue: true };
  }
  return { kind: 'done', reason: 'pulled' };
}
