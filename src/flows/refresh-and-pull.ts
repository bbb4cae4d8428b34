import { cadenceOf } from '../core/cadence.ts';
import type { Instant } from '../core/clock.ts';
import { decidePull, isNews, type PullDecision } from '../core/decide-pull.ts';
import { decideRun } from '../core/decide-run.ts';
import { LIMITS } from '../core/limits.ts';
import type { JobOutcome } from '../core/ports/queue.ts';
import { concludePull, notGiven, type PulledPatch } from './conclude.ts';
import type { Context } from './context.ts';
import { adaptivePlanOf, createRunEnd, NOTHING_PULLED, planRun } from './plan-run.ts';
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
  signal,
}: {
  readonly context: Context;
  readonly authorizationId: string;
  /** Somebody wants everything read now. */
  readonly askedFor: boolean;
  readonly signal: AbortSignal;
}): Promise<JobOutcome> {
  return takeUp({ context, authorizationId, signal, wanted: 'active' }, async (work) => {
    const { authorization } = work;
    const { periodMs, phase, nextRunAt, toldAt, askedAt, lastPull } = authorization;
    if (periodMs === null) return { kind: 'done', reason: 'not_repeating' };
    const neededUntil = context.queue.nextRunAt({ authorizationId, periodMs, phase });
    const wanted = askedFor || isNews({ toldAt, pulledAt: lastPull?.at ?? null });
    const run = decideRun({ nextRunAt, slot: neededUntil, askedFor: wanted, now: context.clock.now() });
    if (run.kind === 'not_yet')
      return waitForPlan({ context, until: run.until, slot: neededUntil, reason: run.reason });
    // A wish that came while another job ran stands in the store only.
    const wish = askedFor || isNews({ toldAt: askedAt, pulledAt: lastPull?.at ?? null });
    return throughGate({ work, needs: 'pages', askedFor: wish }, (inside) =>
      refreshThenPull({ work: inside, neededUntil, askedFor: wish }),
    );
  });
}

async function refreshThenPull({
  work,
  neededUntil,
  askedFor,
}: {
  readonly work: Work;
  readonly neededUntil: Instant;
  readonly askedFor: boolean;
}): Promise<JobOutcome> {
  const { context } = work;
  const end = createRunEnd({ work, decide: () => pullDecisionOf({ work, neededUntil, askedFor }) });
  const access = await ensureAccessToken({
    ...work,
    neededUntil,
    rejected: false,
    asTaken: work.held.standing,
    planWith: end.plan,
  });
  if (access.kind === 'token' && access.planned === true) return end.outcome();
  const given = access.kind === 'later' ? access.meanwhile : access.kind === 'token' ? access : null;
  // A token endpoint that is away does not keep the records waiting while the token in hand still serves.
  const failed = access.kind === 'token' ? null : access;
  if (given === null)
    return failed === null ? { kind: 'done', reason: 'superseded' } : notGiven({ work, access: failed });
  const going = failed?.kind === 'later' ? await noteTrouble({ work, ...failed }) : work;
  const decision = pullDecisionOf({ work, neededUntil, askedFor });
  const finish = async (patch: PulledPatch): Promise<JobOutcome> => {
    if (failed === null) return planRun({ work, patch });
    const outcome = await notGiven({ work: going, access: failed, patch });
    return outcome.kind === 'again' ? { ...outcome, asDue: true } : outcome;
  };
  if (decision.kind === 'skip') {
    const outcome = await finish(NOTHING_PULLED);
    return outcome.kind === 'done' ? { kind: 'done', reason: decision.reason } : outcome;
  }
  const giver = createTokenGiver({ work: going, first: given, neededUntil, refreshFails: failed !== null });
  const pulled = await context.pulls.within(work.held.signal, async () => {
    const startedAt = context.clock.now();
    return { startedAt, report: await pullRecords({ work: going, giveToken: giver.give, wantsFull: askedFor }) };
  });
  return concludePull({ work: going, ...pulled, lost: giver.lost(), finish });
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

function pullDecisionOf({
  work,
  neededUntil,
  askedFor,
}: {
  readonly work: Work;
  readonly neededUntil: Instant;
  readonly askedFor: boolean;
}): PullDecision {
  const { context, authorization } = work;
  return decidePull({
    authorization,
    cadence: cadenceOf(authorization, context.cadence),
    askedFor,
    nextRunAt: neededUntil,
    adaptive: adaptivePlanOf(work),
    toldAt: authorization.toldAt,
    now: context.clock.now(),
  });
}
