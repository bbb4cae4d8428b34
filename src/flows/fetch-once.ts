import { cadenceOf } from '../core/cadence.ts';
import { decidePull } from '../core/decide-pull.ts';
import type { JobOutcome } from '../core/ports/queue.ts';
import type { AuthorizationPatch } from '../core/ports/store.ts';
import { concludePull, notGiven } from './conclude.ts';
import { type Context, WORKER_ACTOR } from './context.ts';
import { pullRecords } from './pull.ts';
import { ensureAccessToken } from './refresh.ts';
import { takeUp } from './take-up.ts';
import { createTokenGiver } from './token-giver.ts';

/** The one fetch of a ONE_TIME authorization: tried again until it is complete or the purge deadline has come, then never again. */
export function fetchOnce({
  context,
  authorizationId,
  signal,
}: {
  readonly context: Context;
  readonly authorizationId: string;
  readonly signal: AbortSignal;
}): Promise<JobOutcome> {
  return takeUp({ context, authorizationId, signal, wanted: 'active' }, async (work) => {
    const { authorization, held } = work;
    const startedAt = context.clock.now();
    const decision = decidePull({
      authorization,
      cadence: cadenceOf(authorization, context.cadence),
      askedFor: true,
      nextRunAt: null,
      now: startedAt,
    });
    if (decision.kind === 'skip') return { kind: 'done', reason: decision.reason };
    const access = await ensureAccessToken({ ...work, neededUntil: startedAt, rejected: false });
    if (access.kind !== 'token') return notGiven({ work, access });
    const giver = createTokenGiver({ work, first: access, neededUntil: startedAt });
    const report = await pullRecords({ work, giveToken: giver.give });
    const finish = async (pulled: AuthorizationPatch): Promise<JobOutcome> => {
      const patch = { ...pulled, fetchedAt: startedAt, nextRunAt: null };
      const written = await context.store.update({ ...held.fence, patch, actor: WORKER_ACTOR });
      return { kind: 'done', reason: written === 'superseded' ? written : 'fetched' };
    };
    return concludePull({ work, report, startedAt, lost: giver.lost(), finish });
  });
}
