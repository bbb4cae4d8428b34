import { admit } from '../core/admit.ts';
import { cadenceOf } from '../core/cadence.ts';
import { steady } from '../core/calendar.ts';
import type { Instant } from '../core/clock.ts';
import { codeOf } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { type AuthorizationPatch, moveTo, type Plan, type SealedTokens, type Store } from '../core/ports/store.ts';
import { doubtAfter, type TokenGrant } from '../core/token-outcome.ts';
import { nextWarningOf } from './calendar.ts';
import { WORKER_ACTOR } from './context.ts';
import { createPatience } from './patience.ts';
import { sureNow } from './sure-now.ts';
import { type OpenTokens, sealGrant } from './token-vault.ts';
import type { Work } from './work.ts';

export type Committed =
  | {
      readonly kind: 'committed';
      readonly tokens: SealedTokens;
      readonly patch: AuthorizationPatch;
      /** Its plan was written with it: the lease is given back. */
      readonly planned: boolean;
    }
  | { readonly kind: 'superseded' };

export type PlanWith = (patch: AuthorizationPatch) => Promise<Plan | null>;
const NO_PLAN: PlanWith = async () => null;

/**
 * Makes a granted pair durable: one compare-and-set on the token version. Only after that may the new access token be used.
 * While the store is away the pair is held and offered again: giving it up would cost the patient a new consent.
 */
export async function commitGrant({
  work,
  grant: told,
  sentAt,
  unsureAt,
  tokens,
  opened,
  more = {},
  planWith = NO_PLAN,
}: {
  readonly work: Work;
  readonly grant: TokenGrant;
  readonly sentAt: Instant;
  /** When an attempt before this one was sent without an answer, if one was. */
  readonly unsureAt: Instant | null;
  readonly tokens: SealedTokens;
  /** What is in `tokens`. */
  readonly opened: OpenTokens;
  /** What else is to be written with it. */
  readonly more?: AuthorizationPatch;
  /** The plan that may go with it, made of what the pair makes of the authorization. */
  readonly planWith?: PlanWith;
}): Promise<Committed> {
  const { context, held, key, authorization } = work;
  const grant = withAssumedEnd({ grant: told, assumedMs: work.source.assumedRefreshLifetimeMs });
  const keepRefreshToken = authorization.usage === 'MULTIPLE';
  const doubtAt = await doubtLeft({ context, attempts: [tokens.doubtAt, unsureAt], sentAt });
  const next = sealGrant({ key, grant, previous: tokens, before: opened, keepRefreshToken, sentAt, doubtAt });
  const patch = { ...patchOf({ work, grant, sentAt, next }), ...more };
  // A plan that cannot be made is made after the pair is safe.
  const plan = await planWith(patch).catch(() => null);
  const write = { ...held.fence, expectedVersion: tokens.version, tokens: next, patch, actor: WORKER_ACTOR };
  const value = plan === null ? write : { ...write, plan };
  const result = await insistently({ work, write: () => context.store.commitTokens(value) });
  if (result === 'superseded') return { kind: 'superseded' };
  // Granting is the proof that the source takes our credentials and answers. The pair is safe already: a store that fails here costs nothing.
  const committed = { kind: 'committed', tokens: next, patch, planned: result === 'planned' } as const;
  if (held.standing?.sourceCondition === null) return committed;
  await context.store.clearSource({ source: work.source.name, at: context.clock.now() }).catch((error: unknown) => {
    context.log.warn('source_not_cleared', { source: work.source.name, code: codeOf(error) });
  });
  return committed;
}

/**
 * The doubt under which the granted pair stands. A clock that is ahead would let it fade before an attempt of the past has surely reached its server, so the store's
 * clock is asked too where there is one; a store that does not answer leaves the doubt, and never holds up the pair.
 */
async function doubtLeft({
  context,
  attempts,
  sentAt,
}: {
  readonly context: Work['context'];
  readonly attempts: readonly (Instant | null)[];
  readonly sentAt: Instant;
}): Promise<Instant | null> {
  if (attempts.every((at) => at === null)) return null;
  const sure = await sureNow(context).catch(() => Number.NEGATIVE_INFINITY);
  return doubtAfter({ attempts, sentAt: Math.min(sentAt, sure) });
}

/** A new refresh token of which nobody said how long it lives gets what is configured for its source. */
function withAssumedEnd({
  grant,
  assumedMs,
}: {
  readonly grant: TokenGrant;
  readonly assumedMs: number | null;
}): TokenGrant {
  if (assumedMs === null || grant.refreshToken === null || grant.refreshEnd.kind !== 'unknown') return grant;
  return { ...grant, refreshEnd: { kind: 'after', lifetimeMs: assumedMs } };
}

/** What the tokens make of the authorization: its first life after an exchange, its ends and period after a refresh. */
function patchOf({
  work: { context, authorization, source },
  grant,
  sentAt,
  next,
}: {
  readonly work: Work;
  readonly grant: TokenGrant;
  readonly sentAt: Instant;
  readonly next: SealedTokens;
}): AuthorizationPatch {
  const first = authorization.state === 'pending';
  const refreshable = grant.endpoint?.refreshable;
  const endpoint = {
    ...grant.endpoint,
    ...authorization.endpoint,
    ...(refreshable === undefined ? {} : { refreshable }),
  };
  const authorizedAt = first ? sentAt : authorization.authorizedAt;
  const told = grant.authorizationEndsInMs === null ? null : sentAt + grant.authorizationEndsInMs;
  const admission = admit({
    usageRequested: first ? authorization.usageRequested : authorization.usage,
    endpoint,
    hasRefreshToken: next.hasRefreshToken,
    accessExpiresAt: next.accessExpiresAt,
    accessLifetimeMs: next.accessLifetimeMs,
    ends: {
      refreshToken: next.hasRefreshToken ? next.refreshExpiresAt : null,
      maxAuthorization: steady({ before: authorization.ends.maxAuthorization, told }),
      accessGrant: steady({ before: authorization.ends.accessGrant, told: grant.accessGrantEndsAt }),
      consent: authorization.ends.consent,
    },
    authorizedAt,
    acceptedAt: authorization.acceptedAt,
    cadence: cadenceOf(authorization, context.cadence),
  });
  const { ends, periodMs, usage } = admission;
  const nextWarningAt = nextWarningOf({ context, ends, usage, refreshGrantedAt: sentAt });
  const upstreamRef = source.refOfToken(grant.accessToken) ?? authorization.upstreamRef;
  if (!first) return { ends, periodMs, nextWarningAt, upstreamRef, trouble: null };
  const reason = authorization.stateReason === 'reauthorized' ? 'reauthorized' : 'exchanged';
  return {
    ...admission,
    ...moveTo('active', reason),
    endpoint,
    authorizedAt,
    nextWarningAt,
    upstreamRef,
    trouble: null,
  };
}

/**
 * Offers the write until it is answered: {@link LIMITS.commitHoldMaxMs} while the process lives, and {@link LIMITS.commitRetryForMs} once it is told to
 * stop. Counted in tries and not on a clock, which may be set while it waits.
 */
async function insistently({
  work: { context, authorization },
  write,
}: {
  readonly work: Work;
  readonly write: () => ReturnType<Store['commitTokens']>;
}): ReturnType<Store['commitTokens']> {
  const { clock, log } = context;
  const patience = createPatience(context);
  for (;;) {
    try {
      return await write();
    } catch (error) {
      const away = codeOf(error) === 'database_unreachable';
      if (!patience.goesOn({ away })) throw error;
      log.error('token_commit_failed', { authorizationId: authorization.id, code: codeOf(error) });
      await clock.sleep(LIMITS.commitRetryEveryMs);
    }
  }
}
