import type { Authorization, State, Trouble, TroubleKind } from '../core/authorization.ts';
import { backoffMs } from '../core/cadence.ts';
import { codeOf, ERRORS, type ErrorCode, PerennialError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import type { JobOutcome } from '../core/ports/queue.ts';
import type { AuthorizationPatch } from '../core/ports/store.ts';
import type { Source } from '../core/ports/upstream.ts';
import type { DataKey } from '../core/ports/vault.ts';
import { retryAfterMs, TROUBLE_CODES } from '../core/retry.ts';
import { type Context, WORKER_ACTOR } from './context.ts';
import { type Held, withLease } from './lease.ts';

/** What one run works on: the authorization as read under the lease, its source and its opened key. */
export type Work = {
  readonly context: Context;
  readonly held: Held;
  readonly authorization: Authorization;
  readonly source: Source;
  readonly key: DataKey;
};

/**
 * Takes up one authorization under its lease and does `body`, if it is still in the state the job is for.
 * What a body throws becomes a wait or a failed job under a fixed code; it never escapes with a library's text.
 */
export async function takeUp(
  {
    context,
    authorizationId,
    signal,
    wanted,
  }: {
    readonly context: Context;
    readonly authorizationId: string;
    readonly signal: AbortSignal;
    readonly wanted: State;
  },
  body: (work: Work) => Promise<JobOutcome>,
): Promise<JobOutcome> {
  try {
    const outcome = await withLease({ context, authorizationId, signal }, async (held): Promise<JobOutcome> => {
      const ready = await prepare({ context, authorizationId, wanted, held });
      return ready.kind === 'work' ? guarded({ work: ready.work, body }) : ready.outcome;
    });
    if (outcome.kind === 'held') return outcome.value;
    const spread = LIMITS.leaseTakenRetryMs * (0.5 + context.entropy.random());
    return { kind: 'again', afterWallMs: spread, reason: 'lease_taken' };
  } catch (error) {
    const code = codeOf(error);
    context.log.error('run_failed', { authorizationId, code, frames: framesOf(error) });
    if (ERRORS[code].retry === 'never') return { kind: 'failed', code };
    return { kind: 'again', afterWallMs: LIMITS.dependencyRetryWallMs, reason: code };
  }
}

async function prepare({
  context,
  authorizationId,
  wanted,
  held,
}: {
  readonly context: Context;
  readonly authorizationId: string;
  readonly wanted: State;
  readonly held: Held;
}): Promise<
  { readonly kind: 'work'; readonly work: Work } | { readonly kind: 'not_now'; readonly outcome: JobOutcome }
> {
  const notNow = async (outcome: JobOutcome) => {
    await settleIntent({ context, held, done: outcome.kind === 'done' });
    return { kind: 'not_now', outcome } as const;
  };
  const authorization = await context.store.get(authorizationId);
  if (authorization === null) {
    await context.queue.unschedule(authorizationId);
    return notNow({ kind: 'done', reason: 'unknown_authorization' });
  }
  if (authorization.state !== wanted) {
    if (authorization.state !== 'active') await context.queue.unschedule(authorizationId);
    return notNow({ kind: 'done', reason: `state_${authorization.state}` });
  }
  const source = context.sources.get(authorization.source);
  if (source === undefined) {
    await settleIntent({ context, held, done: false });
    throw new PerennialError('unknown_source');
  }
  const key = await context.vault.open(authorizationId);
  const work = { context, held, authorization, source, key };
  const states = await context.store.sourceStates();
  const now = context.clock.now();
  // One run in a quarter of an hour is let through, to find out whether the credentials are mended.
  const suspended = states.some(
    ({ source: name, condition, lastAt }) =>
      name === source.name && condition === 'suspended' && now < lastAt + LIMITS.sourceProbeEveryMs,
  );
  if (suspended) return notNow(await putBackFor({ work, trouble: 'misconfigured', hintMs: null }));
  return { kind: 'work', work };
}

/** An attempt that was left open and cannot be taken up now is closed or parked, or the sweep would find it again each second. */
async function settleIntent({
  context: { store },
  held,
  done,
}: {
  readonly context: Context;
  readonly held: Held;
  readonly done: boolean;
}): Promise<void> {
  const intent = await store.intent(held.fence.authorizationId);
  if (intent === null || intent.parked) return;
  if (done) await store.closeIntent(held.fence);
  else await store.parkIntent({ ...held.fence, ...intent, unsure: true });
}

async function guarded({
  work,
  body,
}: {
  readonly work: Work;
  readonly body: (work: Work) => Promise<JobOutcome>;
}): Promise<JobOutcome> {
  try {
    return await body(work);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'database_unreachable') throw error;
    work.context.log.error('run_failed', { authorizationId: work.authorization.id, code, frames: framesOf(error) });
    return putBack({ work, code, afterMs: null });
  }
}

/** What stands in the way now, since when; a token whose fate is unsure stays that until the next grant. */
export function troubleAfter({
  before,
  kind,
  now,
}: {
  readonly before: Trouble | null;
  readonly kind: TroubleKind;
  readonly now: number;
}): Trouble {
  if (before !== null && (before.kind === kind || before.kind === 'unsure')) return before;
  return { kind, since: now };
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
  const { clock, entropy } = work.context;
  const { failedRuns: failures, trouble: before } = work.authorization;
  const afterMs = retryAfterMs({ trouble: kind, hintMs, failures, random: entropy.random() });
  const trouble = troubleAfter({ before, kind, now: clock.now() });
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
  const { id: authorizationId, periodMs, purgeDueAt, usage } = authorization;
  const hinted = ERRORS[code].retry === 'after_hint' || code === 'cancelled';
  const failedRuns = hinted ? authorization.failedRuns : authorization.failedRuns + 1;
  const backoff = backoffMs({ failures: authorization.failedRuns, random: entropy.random() });
  const waitMs = Math.min(afterMs ?? backoff, LIMITS.retryAfterMaxMs);
  const wakeAt = clock.now() + waitMs;
  const slot = usage === 'MULTIPLE' && periodMs !== null ? queue.nextRunAt({ authorizationId, periodMs }) : null;
  const last = slot ?? purgeDueAt;
  const leftToOther = last !== null && wakeAt >= last;
  const nextRunAt = leftToOther ? last : wakeAt;
  const written = await store.update({
    ...held.fence,
    patch: { ...patch, failedRuns, lastError: code, nextRunAt },
    actor: WORKER_ACTOR,
  });
  if (written === 'superseded') return { kind: 'done', reason: 'superseded' };
  log.warn('put_back', { authorizationId, code, durationMs: waitMs, count: failedRuns });
  if (leftToOther) return { kind: 'done', reason: code };
  return { kind: 'again', afterWallMs: Math.max(LIMITS.retryMinWallMs, clock.toWallMs(waitMs)), reason: code };
}

/** Where an unforeseen error came from: function names and lines, never its message, which may quote data. */
export function framesOf(error: unknown): string {
  if (error instanceof PerennialError || !(error instanceof Error)) return '';
  const frames = (error.stack ?? '').split('\n').filter((line) => line.trimStart().startsWith('at '));
  return frames
    .slice(0, 4)
    .map((line) => line.trim().replace(/\(?file:\/\/.*\/(src|jobs|node_modules)\//, '($1/'))
    .join(' < ');
}
