import { cadenceOf } from '../core/cadence.ts';
import { decidePull } from '../core/decide-pull.ts';
import type { JobOutcome } from '../core/ports/queue.ts';
import { concludePull, notGiven, type PulledPatch } from './conclude.ts';
import { type Context, WORKER_ACTOR } from './context.ts';
import { pullRecords } from './pull.ts';
import { noteTrouble } from './put-back.ts';
import { ensureAccessToken } from './refresh.ts';
import { takeUp } from './take-up.ts';
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
  readonly askedFor: boolean;
  readonly signal: AbortSignal;
}): Promise<JobOutcome> {
  return takeUp({ context, authorizationId, signal, wanted: 'active' }, async (work) => {
    const { authorization } = work;
    const { periodMs } = authorization;
    if (periodMs === null) return { kind: 'done', reason: 'not_repeating' };
    const neededUntil = context.queue.nextRunAt({ authorizationId, periodMs });
    const access = await ensureAccessToken({ ...work, neededUntil, rejected: false });
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
  });
}

/** Writes down the next run, and re-phases the repeating job where the refresh changed its period. */
async function plan({
  work: { context, held, authorization },
  patch,
}: {
  readonly work: Work;
  readonly patch: PulledPatch;
}): Promise<JobOutcome> {
  const { store, queue } = context;
  const authorizationId = authorization.id;
  const periodMs = (await store.get(authorizationId))?.periodMs ?? authorization.periodMs;
  if (periodMs === null) return { kind: 'done', reason: 'not_repeating' };
  if (periodMs !== authorization.periodMs) await queue.schedule({ authorizationId, periodMs });
  const nextRunAt = queue.nextRunAt({ authorizationId, periodMs });
  const written = await store.update({ ...held.fence, patch: { ...patch, nextRunAt }, actor: WORKER_ACTOR });
  return { kind: 'done', reason: written === 'superseded' ? written : 'pulled' };
}
