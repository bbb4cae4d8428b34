import type { DeadReason } from '../core/authorization.ts';
import type { Instant } from '../core/clock.ts';
import { decideRefresh } from '../core/decide-refresh.ts';
import { type ErrorCode, PerennialError } from '../core/errors.ts';
import type { SealedTokens } from '../core/ports/store.ts';
import type { DataKey } from '../core/ports/vault.ts';
import type { Secret } from '../core/secret.ts';
import { deadReasonOf } from '../core/token-outcome.ts';
import { commitGrant } from './commit-grant.ts';
import { type Spending, spendOnce } from './spend.ts';
import { openTokens } from './token-vault.ts';
import type { Work } from './work.ts';

export type AccessOutcome =
  | { readonly kind: 'token'; readonly accessToken: Secret; readonly tokens: SealedTokens }
  | { readonly kind: 'dead'; readonly reason: DeadReason }
  | { readonly kind: 'later'; readonly afterMs: number | null; readonly code: ErrorCode }
  | { readonly kind: 'superseded' };

/**
 * A valid access token that lasts until `neededUntil`, refreshing it when it must (design, section 6). The caller holds the lease.
 * `rejected` says that the source has just refused the stored access token.
 */
export async function ensureAccessToken(
  work: Work & { readonly neededUntil: Instant; readonly rejected: boolean },
): Promise<AccessOutcome> {
  const { context, authorization, key } = work;
  const tokens = await context.store.tokens(authorization.id);
  if (tokens === null) throw new PerennialError('internal', { field: 'tokens' });
  const intent = await context.store.intent(authorization.id);
  const decision = decideRefresh({
    tokens,
    attemptLeftOpen: intent !== null,
    rejected: work.rejected,
    neededUntil: work.neededUntil,
    endsAt: authorization.endsAt,
    now: context.clock.now(),
  });
  if (decision.kind === 'dead') return decision;
  if (decision.kind === 'use') return use({ key, tokens });
  return refresh({ work, tokens, unsureBefore: intent !== null });
}

function use({ key, tokens }: { readonly key: DataKey; readonly tokens: SealedTokens }): AccessOutcome {
  const { accessToken } = openTokens({ key, row: tokens });
  if (accessToken === null) throw new PerennialError('unseal_failed');
  return { kind: 'token', accessToken, tokens };
}

async function refresh({
  work,
  tokens,
  unsureBefore,
}: {
  readonly work: Work;
  readonly tokens: SealedTokens;
  readonly unsureBefore: boolean;
}): Promise<AccessOutcome> {
  const { context, authorization, key, source } = work;
  const { refreshToken } = openTokens({ key, row: tokens });
  if (refreshToken === null) return { kind: 'dead', reason: 'refresh_expired' };
  const startedAt = context.clock.wallNow();
  const spending = await spendOnce({
    work,
    kind: 'refresh',
    tokenVersion: tokens.version,
    unsureBefore,
    send: (signal) => source.refresh({ refreshToken, signal }),
  });
  context.metrics.refresh({
    network: authorization.network,
    outcome: spending.kind,
    durationMs: context.clock.wallNow() - startedAt,
  });
  return settle({ work, tokens, spending });
}

async function settle({
  work,
  tokens,
  spending,
}: {
  readonly work: Work;
  readonly tokens: SealedTokens;
  readonly spending: Spending;
}): Promise<AccessOutcome> {
  const { context, authorization, key } = work;
  switch (spending.kind) {
    case 'granted': {
      const committed = await commitGrant({ work, grant: spending.grant, sentAt: spending.sentAt, tokens });
      return committed.kind === 'committed' ? use({ key, tokens: committed.tokens }) : siblingsTokens({ work, tokens });
    }
    case 'refused': {
      const winner = await siblingsTokens({ work, tokens });
      if (winner.kind === 'token') return winner;
      const reason = deadReasonOf({
        unsureBefore: spending.unsureBefore,
        now: context.clock.now(),
        refreshExpiresAt: tokens.refreshExpiresAt,
        endsAt: authorization.endsAt,
      });
      return { kind: 'dead', reason };
    }
    case 'client_refused':
      return { kind: 'later', afterMs: null, code: 'source_refused_us' };
    case 'throttled':
      return { kind: 'later', afterMs: spending.retryAfterMs, code: 'upstream_throttled' };
    case 'unsure':
      return { kind: 'later', afterMs: null, code: 'upstream_unavailable' };
    case 'cancelled':
      return { kind: 'later', afterMs: 0, code: 'cancelled' };
    case 'superseded':
      return siblingsTokens({ work, tokens });
  }
}

/** After a refusal or a lost fence: if the stored version has moved, a sibling won and nothing is lost (promise P8). */
async function siblingsTokens({
  work,
  tokens,
}: {
  readonly work: Work;
  readonly tokens: SealedTokens;
}): Promise<AccessOutcome> {
  const stored = await work.context.store.tokens(work.authorization.id);
  if (stored === null || stored.version <= tokens.version) return { kind: 'superseded' };
  return use({ key: work.key, tokens: stored });
}
