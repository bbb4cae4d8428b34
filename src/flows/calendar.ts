import type { Authorization, Ends, Usage } from '../core/authorization.ts';
import { decideWarning, nextLookAt } from '../core/calendar.ts';
import type { Instant } from '../core/clock.ts';
import { decideRefresh, grantedAtOf } from '../core/decide-refresh.ts';
import { LIMITS } from '../core/limits.ts';
import type { JobOutcome } from '../core/ports/queue.ts';
import { type Context, WORKER_ACTOR } from './context.ts';
import { declareDead } from './end.ts';
import { type Held, withLease } from './lease.ts';
import { sureNow } from './sure-now.ts';

/** When an authorization's ends are to be looked at again; null for ONE_TIME, whose end is its purpose. */
export function nextWarningOf({
  context: { warnDays, clock },
  ends,
  usage,
  refreshGrantedAt,
}: {
  readonly context: Pick<Context, 'warnDays' | 'clock'>;
  readonly ends: Ends;
  readonly usage: Usage;
  readonly refreshGrantedAt: Instant;
}): Instant | null {
  return usage === 'ONE_TIME' ? null : nextLookAt({ ends, warnDays, refreshGrantedAt, now: clock.now() });
}

/**
 * Looks at one authorization's ends: announces the one that comes nearer, once for each of the configured days, and ends what is over even where no run
 * comes any more (a source that is suspended, a worker that was away).
 */
export async function lookAtEnds({
  context,
  authorizationId,
  signal,
}: {
  readonly context: Context;
  readonly authorizationId: string;
  readonly signal: AbortSignal;
}): Promise<JobOutcome> {
  const outcome = await withLease({ context, authorizationId, signal }, async (held): Promise<JobOutcome> => {
    const authorization = await context.store.get(authorizationId);
    if (authorization === null || !isStanding(authorization)) return { kind: 'done', reason: 'not_standing' };
    return warnOf({ context, held, authorization });
  });
  if (outcome.kind === 'held') return outcome.value;
  return { kind: 'again', afterWallMs: LIMITS.leaseTakenRetryMs, reason: 'lease_taken' };
}

function isStanding({ state, usage }: Authorization): boolean {
  return usage === 'MULTIPLE' && (state === 'active' || state === 'suspended' || state === 'quarantined');
}

async function warnOf({
  context,
  held,
  authorization,
}: {
  readonly context: Context;
  readonly held: Held;
  readonly authorization: Authorization;
}): Promise<JobOutcome> {
  const { store, clock, warnDays, log } = context;
  const { id: authorizationId, ends, source } = authorization;
  const now = clock.now();
  const tokens = await store.tokens(authorizationId);
  const refreshGrantedAt = tokens === null ? now : grantedAtOf(tokens);
  const first = decideWarning({ ends, warnDays, warnedAt: null, refreshGrantedAt, now });
  const warnedAt =
    first.kind === 'warn'
      ? await store.warnedAt({ authorizationId, reason: first.end.kind, endsAt: first.end.at })
      : null;
  const warning = warnedAt === null ? first : decideWarning({ ends, warnDays, warnedAt, refreshGrantedAt, now });
  if (warning.kind === 'over') return endOf({ context, held, authorization });
  if (warning.kind === 'none') {
    const patch = { nextWarningAt: warning.nextAt };
    const written = await store.update({ ...held.fence, patch, actor: WORKER_ACTOR });
    return { kind: 'done', reason: written === 'superseded' ? written : warning.reason };
  }
  const { end, daysLeft, nextAt: nextWarningAt } = warning;
  const event = { at: now, source, reason: end.kind, endsAt: end.at, daysLeft };
  const written = await store.warn({ ...held.fence, event, nextWarningAt });
  log.warn('authorization_ending', { authorizationId, reason: end.kind, count: daysLeft });
  return { kind: 'done', reason: written === 'superseded' ? written : 'warned' };
}

/** Past the refresh token's end the access token may still serve for a while; past the others nothing does. */
async function endOf({
  context,
  held,
  authorization,
}: {
  readonly context: Context;
  readonly held: Held;
  readonly authorization: Authorization;
}): Promise<JobOutcome> {
  const { store } = context;
  const tokens = await store.tokens(authorization.id);
  const now = await sureNow(context);
  const decision =
    tokens === null
      ? null
      : decideRefresh({
          tokens,
          attempt: 'none',
          trouble: null,
          rejected: false,
          doubtedVersion: null,
          neededUntil: now,
          ends: authorization.ends,
          now,
        });
  if (decision?.kind !== 'dead') {
    // The access token outlasts the refresh token's end, or our clock is ahead of the store's.
    const patch = { nextWarningAt: tokens === null ? null : Math.max(tokens.accessExpiresAt, now + LIMITS.sameEndMs) };
    await store.update({ ...held.fence, patch, actor: WORKER_ACTOR });
    return { kind: 'done', reason: 'still_valid' };
  }
  const written = await declareDead({ work: { context, held, authorization }, reason: decision.reason });
  return { kind: 'done', reason: written === 'superseded' ? written : decision.reason };
}
