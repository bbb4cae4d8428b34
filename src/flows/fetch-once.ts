import { endsAfterFetch, isReadable } from '../core/authorization.ts';
import { cadenceOf } from '../core/cadence.ts';
import { decidePull } from '../core/decide-pull.ts';
import type { JobOutcome } from '../core/ports/queue.ts';
import type { AuthorizationPatch } from '../core/ports/store.ts';
import { concludePull, notGiven } from './conclude.ts';
import { type Context, WORKER_ACTOR } from './context.ts';
import { pullRecords } from './pull.ts';
import { putBack } from './put-back.ts';
import { ensureAccessToken } from './refresh.ts';
import { takeUp } from './take-up.ts';
import { throughGate } from './through-gate.ts';
import { createTokenGiver } from './token-giver.ts';
import { endUpstream } from './upstream-end.ts';
import type { Work } from './work.ts';

/**
 * The one fetch of a ONE_TIME authorization: tried again until it is complete or the purge deadline has come, then never again. Where its end at the
 * source is asked for, that follows at once, while its token still lives.
 */
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
    const { authorization } = work;
    const wantsEnd = endsAfterFetch(authorization);
    const isFetched = authorization.fetchedAt !== null;
    if (wantsEnd && isFetched && isReadable(authorization, context.clock.now())) return endFetched(work);
    return throughGate({ work, needs: 'pages', askedFor: false }, (inside) => fetchNow({ work: inside, wantsEnd }));
  });
}

async function fetchNow({ work, wantsEnd }: { readonly work: Work; readonly wantsEnd: boolean }): Promise<JobOutcome> {
  const { context, authorization, held } = work;
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
  const report = await context.pulls.within(held.signal, () => pullRecords({ work, giveToken: giver.give }));
  const finish = async (pulled: AuthorizationPatch): Promise<JobOutcome> => {
    // With a next run the sweep brings back what a crash leaves out between the fetch and the end.
    const patch = { ...pulled, fetchedAt: startedAt, nextRunAt: wantsEnd ? startedAt : null };
    const written = await context.store.update({ ...held.fence, patch, actor: WORKER_ACTOR });
    if (written === 'superseded') return { kind: 'done', reason: written };
    return wantsEnd
      ? endFetched({ ...work, authorization: { ...authorization, ...patch } })
      : { kind: 'done', reason: 'fetched' };
  };
  return concludePull({ work, report, startedAt, lost: giver.lost(), finish });
}

/** Ends a fetched authorization at its source; tried again until the source confirms it or the purge deadline comes. */
async function endFetched(work: Work): Promise<JobOutcome> {
  const { context, authorization, held } = work;
  const upstreamEnd = await endUpstream({ context, authorization });
  if (upstreamEnd === 'failed') return putBack({ work, code: 'upstream_unavailable', afterMs: null });
  const patch = { upstreamEnd, nextRunAt: null, failedRuns: 0, lastError: null };
  const written = await context.store.update({ ...held.fence, patch, actor: WORKER_ACTOR });
  return { kind: 'done', reason: written === 'superseded' ? written : 'fetched' };
}
