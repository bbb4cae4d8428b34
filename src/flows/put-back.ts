import type { Trouble, TroubleKind } from '../core/authorization.ts';
import { backoffMs } from '../core/cadence.ts';
import type { Instant } from '../core/clock.ts';
import { ERRORS, type ErrorCode } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import type { JobOutcome } from '../core/ports/queue.ts';
import type { AuthorizationPatch } from '../core/ports/store.ts';
import { retryAfterMs, TROUBLE_CODES } from '../core/retry.ts';
import { WORKER_ACTOR } from './context.ts';
import type { Work } from './work.ts';

/** What stands in the way now, since when; a token whose fate is unsure stays that until the next grant. */
function troubleAfter({
  before,
  kind,
  now,
  until,
}: {
  readonly before: Trouble | null;
  readonly kind: TroubleKind;
  readonly now: Instant;
  readonly until: Instant;
}): Trouble {
  if (before !== null && (before.kind === kind || before.kind === 'unsure')) return { ...before, until };
  return { kind, since: now, until };
}

/** Writes down what stands in the way of the next tokens, and gives the work that knows of it; for a run that goes on with the token in hand. */
export async function noteTrouble({
  work,
  trouble: kind,
  hintMs,
}: {
  readonly work: Work;
  readonly trouble: TroubleKind;
  readonly hintMs: number | null;
}): Promise<Work> {
  const trouble = troubleOf({ work, kind, hintMs });
  await work.context.store.update({ ...work.held.fence, patch: { trouble }, actor: WORKER_ACTOR });
  return { ...work, authorization: { ...work.authorization, trouble } };
}

function troubleOf({
  work: { context, authorization },
  kind,
  hintMs,
}: {
  readonly work: Pick<Work, 'context' | 'authorization'>;
  readonly kind: TroubleKind;
  readonly hintMs: number | null;
}): Trouble {
  const { failedRuns: failures, trouble: before } = authorization;
  const wantedMs = retryAfterMs({ trouble: kind, hintMs, failures, random: context.entropy.random() });
  const now = context.clock.now();
  return troubleAfter({ before, kind, now, until: now + Math.min(wantedMs, LIMITS.retryAfterMaxMs) });
}

/** Puts a run back because no new token could be had, on the schedule of what stands in the way (core/retry.ts). */
export function putBackFor({
  work,
  trouble: kind,
  hintMs,
  patch = {},
}: {
  readonly work: Pick<Work, 'context' | 'held' | 'authorization'>;
  readonly trouble: TroubleKind;
  readonly hintMs: number | null;
  readonly patch?: AuthorizationPatch;
}): Promise<JobOutcome> {
  const trouble = troubleOf({ work, kind, hintMs });
  const afterMs = trouble.until - work.context.clock.now();
  return putBack({ work, code: TROUBLE_CODES[kind], afterMs, patch: { ...patch, trouble } });
}

/**
 * Puts a run back for later: after the time the source named, capped, or after a doubled and spread wait. The store knows of it first, so that
 * the sweep can repair it. A wait that ends after the authorization's own next run or purge is left to that one.
 */
export async function putBack({
  work: { context, held, authorization },
  code,
  afterMs,
  patch = {},
}: {
  readonly work: Pick<Work, 'context' | 'held' | 'authorization'>;
  readonly code: ErrorCode;
  readonly afterMs: number | null;
  readonly patch?: AuthorizationPatch;
}): Promise<JobOutcome> {
  const { store, clock, entropy, queue, log } = context;
  const { id: authorizationId, periodMs, phase, purgeDueAt, usage } = authorization;
  const hinted = ERRORS[code].retry === 'after_hint' || code === 'cancelled';
  const failedRuns = hinted ? authorization.failedRuns : authorization.failedRuns + 1;
  const backoff = backoffMs({ failures: authorization.failedRuns, random: entropy.random() });
  const waitMs = Math.min(afterMs ?? backoff, LIMITS.retryAfterMaxMs);
  const wakeAt = clock.now() + waitMs;
  const slot = usage === 'MULTIPLE' && periodMs !== null ? queue.nextRunAt({ authorizationId, periodMs, phase }) : null;
  const last = slot ?? purgeDueAt;
  const leftToOther = last !== null && wakeAt >= last;
  const nextRunAt = leftToOther ? last : wakeAt;
  const written = await store.update({
    ...held.fence,
    patch: { ...patch, failedRuns, lastError: code, nextRunAt },
    actor: WORKER_ACTOR,
  });
  if (written === 'superseded') return { kind: 'done', reason: 'superseded' };
  // Its turn has not come: nothing went wrong, and the gate itself tells of what did.
  if (code !== 'gate_closed') log.warn('put_back', { authorizationId, code, durationMs: waitMs, count: failedRuns });
  if (leftToOther) return { kind: 'done', reason: code };
  return { kind: 'again', afterWallMs: Math.max(LIMITS.retryMinWallMs, clock.toWallMs(waitMs)), reason: code };
}
