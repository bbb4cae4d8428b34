import { admit } from '../core/admit.ts';
import { cadenceOf } from '../core/cadence.ts';
import type { Instant } from '../core/clock.ts';
import { PerennialError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { type AuthorizationPatch, type CommitResult, moveTo, type SealedTokens } from '../core/ports/store.ts';
import type { TokenGrant } from '../core/token-outcome.ts';
import { WORKER_ACTOR } from './context.ts';
import { sealGrant } from './token-vault.ts';
import type { Work } from './work.ts';

export type Committed =
  | { readonly kind: 'committed'; readonly tokens: SealedTokens; readonly patch: AuthorizationPatch }
  | { readonly kind: 'superseded' };

/**
 * Makes a granted pair durable: one compare-and-set on the token version. Only after that may the new access token be used.
 * While the store is away the pair is held and offered again for {@link LIMITS.commitRetryForMs}: giving it up would cost the patient a new consent.
 */
export async function commitGrant({
  work,
  grant,
  sentAt,
  tokens,
}: {
  readonly work: Work;
  readonly grant: TokenGrant;
  readonly sentAt: Instant;
  readonly tokens: SealedTokens;
}): Promise<Committed> {
  const { context, held, key, authorization } = work;
  const keepRefreshToken = authorization.usage === 'MULTIPLE';
  const next = sealGrant({ key, grant, previous: tokens, keepRefreshToken, sentAt });
  const patch = patchOf({ work, grant, sentAt, next });
  const value = { ...held.fence, expectedVersion: tokens.version, tokens: next, patch, actor: WORKER_ACTOR };
  const result = await insistently({ work, write: () => context.store.commitTokens(value) });
  // Granting is the proof that the source takes our credentials again.
  if (result === 'committed') await context.store.resumeSource(work.source.name);
  return result === 'committed' ? { kind: 'committed', tokens: next, patch } : { kind: 'superseded' };
}

/** What the tokens make of the authorization: its first life after an exchange, its end and period after a refresh. */
function patchOf({
  work: { context, authorization },
  grant,
  sentAt,
  next,
}: {
  readonly work: Work;
  readonly grant: TokenGrant;
  readonly sentAt: Instant;
  readonly next: SealedTokens;
}): AuthorizationPatch {
  const told = grant.authorizationEndsInMs === null ? null : sentAt + grant.authorizationEndsInMs;
  const first = authorization.state === 'pending';
  const refreshable = grant.endpoint?.refreshable;
  const endpoint = {
    ...grant.endpoint,
    ...authorization.endpoint,
    ...(refreshable === undefined ? {} : { refreshable }),
  };
  const authorizedAt = first ? sentAt : authorization.authorizedAt;
  const admission = admit({
    usageRequested: authorization.usage,
    endpoint,
    hasRefreshToken: next.hasRefreshToken,
    accessExpiresAt: next.accessExpiresAt,
    accessLifetimeMs: next.accessLifetimeMs,
    authorizationEndsAt: told ?? authorization.endsAt,
    authorizedAt,
    acceptedAt: authorization.acceptedAt,
    cadence: cadenceOf(authorization, context.cadence),
  });
  if (!first) return { endsAt: admission.endsAt, periodMs: admission.periodMs };
  return { ...admission, ...moveTo('active', 'exchanged'), endpoint, authorizedAt };
}

async function insistently({
  work: { context, authorization },
  write,
}: {
  readonly work: Work;
  readonly write: () => Promise<CommitResult>;
}): Promise<CommitResult> {
  const giveUpAt = context.clock.wallNow() + LIMITS.commitRetryForMs;
  for (;;) {
    try {
      return await write();
    } catch (error) {
      if (context.clock.wallNow() >= giveUpAt) throw error;
      const code = error instanceof PerennialError ? error.code : 'internal';
      context.log.error('token_commit_failed', { authorizationId: authorization.id, code });
      await context.clock.sleep(LIMITS.commitRetryEveryMs);
    }
  }
}
