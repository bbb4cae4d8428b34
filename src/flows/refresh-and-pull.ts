import type { Authorization } from '../core/authorization.ts';
import { cadenceOf } from '../core/cadence.ts';
import { decidePull } from '../core/decide-pull.ts';
import type { JobOutcome } from '../core/ports/queue.ts';
import { concludePull, notGiven } from './conclude.ts';
import { type Context, WORKER_ACTOR } from './context.ts';
import { pullRecords } from './pull.ts';
import { ensureAccessToken } from './refresh.ts';
import { createTokenGiver } from './token-giver.ts';
import { takeUp, type Work } from './work.ts';

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
    if (access.kind !== 'token') return notGiven({ work, access });
    const decision = decidePull({
      authorization,
      cadence: cadenceOf(authorization, context.cadence),
      askedFor,
      nextRunAt: neededUntil,
      now: context.clock.now(),
    });
    if (decision.kind === 'skip') {
      await plan({ work, patch: { failedRuns: 0, lastError: null } });
      return { kind: 'done', reason: decision.reason };
    }
    const startedAt = context.clock.now();
    const giver = createTokenGiver({ work, first: access, neededUntil });
    const report = await pullRecords({ work, giveToken: giver.give });
    return concludePull({ work, report, startedAt, lost: giver.lost(), finish: (patch) => plan({ work, patch }) });
  });
}

/** Writes down the next run, and re-phases the repeating job where the refresh changed its period. */
async function plan({
  work: { context, held, authorization },
  patch,
}: {
  readonly work: Work;
  readonly patch: Partial<Pick<Authorization, 'failedRuns' | 'lastError' | 'lastPull' | 'freshAsOf'>>;
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
