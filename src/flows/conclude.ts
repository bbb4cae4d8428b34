import type { Authorization } from '../core/authorization.ts';
import type { Instant } from '../core/clock.ts';
import type { JobOutcome } from '../core/ports/queue.ts';
import { declareDead } from './end.ts';
import { lookForGrant } from './grant-gone.ts';
import type { PullReport } from './pull.ts';
import { putBack, putBackFor } from './put-back.ts';
import type { AccessOutcome } from './refresh.ts';
import type { Work } from './work.ts';

export type NoToken = Exclude<AccessOutcome, { readonly kind: 'token' }>;
/** What a pull changes about its authorization. */
export type PulledPatch = Partial<Pick<Authorization, 'failedRuns' | 'lastError' | 'lastPull' | 'freshAsOf'>>;

/** What follows when no access token could be had. */
export async function notGiven({
  work,
  access,
  patch = {},
}: {
  readonly work: Work;
  readonly access: NoToken;
  readonly patch?: PulledPatch;
}): Promise<JobOutcome> {
  switch (access.kind) {
    case 'dead':
      await declareDead({ work, reason: access.reason });
      return { kind: 'done', reason: access.reason };
    case 'later':
      return putBackFor({ work, trouble: access.trouble, hintMs: access.hintMs, patch });
    case 'cancelled':
      return putBack({ work, code: 'cancelled', afterMs: 0, patch });
    case 'superseded':
      return { kind: 'done', reason: 'superseded' };
  }
}

/** Writes down how a pull ended, counts it, and says what becomes of its job. `finish` stores the patch of a pull that needs no retry. */
export async function concludePull({
  work,
  report,
  startedAt,
  lost,
  finish,
}: {
  readonly work: Work;
  readonly report: PullReport;
  readonly startedAt: Instant;
  readonly lost: NoToken | null;
  readonly finish: (patch: PulledPatch) => Promise<JobOutcome>;
}): Promise<JobOutcome> {
  const { context, authorization } = work;
  const { published, result, refused } = report;
  const durationMs = context.clock.toWallMs(context.clock.now() - startedAt);
  context.metrics.pull({ network: authorization.network, result, durationMs });
  context.metrics.records(published);
  for (const [reason, count] of Object.entries(refused)) context.metrics.refused({ reason, count });
  context.log.info('pull_ended', {
    authorizationId: authorization.id,
    reason: result,
    durationMs,
    added: published.added,
    modified: published.modified,
    removed: published.removed,
    pages: report.pages,
    bytes: report.bytes,
  });
  if (published.suspected > 0) {
    context.log.warn('removals_suspected', { authorizationId: authorization.id, count: published.suspected });
  }
  if (report.superseded) return { kind: 'done', reason: 'superseded' };
  const lastPull = { at: startedAt, result, durationMs };
  if (lost !== null) return notGiven({ work, access: lost, patch: { lastPull } });
  const gone = report.missing ? await lookForGrant({ work, neededUntil: startedAt }) : null;
  if (gone !== null) {
    await declareDead({ work, reason: gone });
    return { kind: 'done', reason: gone };
  }
  if (report.retry !== null) return putBack({ work, ...report.retry, patch: { lastPull } });
  if (result === 'complete' && authorization.freshAsOf !== null) {
    const changed = published.added + published.modified + published.removed > 0;
    await context.learner.learn({ authorization, from: authorization.freshAsOf, to: report.asOf, changed });
  }
  return finish({ lastPull, freshAsOf: report.asOf, failedRuns: 0, lastError: null });
}
