import type { DeadReason, TroubleKind } from '../core/authorization.ts';
import type { Instant } from '../core/clock.ts';
import { decideRefresh } from '../core/decide-refresh.ts';
import { PerennialError } from '../core/errors.ts';
import type { Intent, SealedTokens, Standing } from '../core/ports/store.ts';
import type { DataKey } from '../core/ports/vault.ts';
import type { Secret } from '../core/secret.ts';
import { deadReasonOf } from '../core/token-outcome.ts';
import { commitGrant, type PlanWith } from './commit-grant.ts';
import { rescueGrant } from './rescue.ts';
import { type Spending, spendOnce } from './spend.ts';
import { sureNow } from './sure-now.ts';
import { type OpenTokens, openTokens } from './token-vault.ts';
import type { Work } from './work.ts';

export type GivenToken = {
  readonly kind: 'token';
  readonly accessToken: Secret;
  readonly tokens: SealedTokens;
  /** The plan for the next run was written with it, and the lease given back: this run is over. */
  readonly planned?: boolean;
};

/** A run that asks for a token. */
type Asked = Work & { readonly rejected: boolean; readonly planWith?: PlanWith };

export type AccessOutcome =
  | GivenToken
  | { readonly kind: 'dead'; readonly reason: DeadReason }
  /** No new token now. `meanwhile` is the old one where it still holds. */
  | {
      readonly kind: 'later';
      readonly trouble: TroubleKind;
      readonly hintMs: number | null;
      readonly meanwhile: GivenToken | null;
    }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'superseded' };

/**
 * A valid access token that lasts until `neededUntil`, refreshing it when it must (design, section 6). The caller holds the lease.
 * `rejected` says that the source has just refused the stored access token. `asTaken` is what stood behind the lease, for a holder who has written nothing since.
 * `planWith` makes the plan that a new pair may be committed with; the token is then `planned`.
 */
export async function ensureAccessToken(
  work: Work & {
    readonly neededUntil: Instant;
    readonly rejected: boolean;
    readonly asTaken?: Pick<Standing, 'tokens' | 'intent'> | null;
    readonly planWith?: PlanWith;
  },
): Promise<AccessOutcome> {
  const { context, authorization, key } = work;
  const { tokens, intent } = work.asTaken ?? (await storedOf(work));
  if (tokens === null) throw new PerennialError('internal', { field: 'tokens' });
  const ownNow = context.clock.now();
  const decideAt = (now: Instant) =>
    decideRefresh({
      tokens,
      attempt: intent === null ? 'none' : intent.parked ? 'parked' : 'left_open',
      trouble: authorization.trouble,
      rejected: work.rejected,
      doubtedVersion: authorization.doubtedVersion,
      neededUntil: work.neededUntil - (ownNow - now),
      ends: authorization.ends,
      now,
    });
  const first = decideAt(ownNow);
  // A pair in doubt is not spent because our clock is ahead: an attempt that is still on its way would find its token replaced twice, which servers take for theft.
  const looksTwice = first.kind === 'dead' || (first.kind === 'refresh' && tokens.doubtAt !== null);
  const decision = looksTwice ? decideAt(await sureNow(context)) : first;
  if (decision.kind === 'dead') return decision;
  if (decision.kind === 'use') return use({ key, tokens });
  if (decision.kind === 'wait') return waiting({ work, tokens, until: decision.until });
  const { noTokens } = work;
  // What an earlier attempt has left open is offered again all the same: its grace window does not wait for a gate.
  if (noTokens !== undefined && intent === null && context.clock.now() < noTokens.until) {
    return waiting({ work, tokens, ...noTokens });
  }
  return refresh({ work, tokens, earlier: intent });
}

async function storedOf({ context: { store }, authorization }: Work): Promise<Pick<Standing, 'tokens' | 'intent'>> {
  const tokens = await store.tokens(authorization.id);
  return { tokens, intent: await store.intent(authorization.id) };
}

/** Another run, or a caller, was told when to come back: that holds for everybody, and leaves `until` as it is. */
function waiting({
  work: { context, authorization, key, rejected },
  tokens,
  until,
  trouble = authorization.trouble?.kind ?? 'outage',
}: {
  readonly work: Asked;
  readonly tokens: SealedTokens;
  readonly until: Instant;
  readonly trouble?: TroubleKind;
}): AccessOutcome {
  const now = context.clock.now();
  const holds = !rejected && trouble !== 'unsure' && now < tokens.accessExpiresAt;
  return { kind: 'later', trouble, hintMs: until - now, meanwhile: holds ? use({ key, tokens }) : null };
}

function use({ key, tokens }: { readonly key: DataKey; readonly tokens: SealedTokens }): GivenToken {
  const { accessToken } = openTokens({ key, row: tokens });
  if (accessToken === null) throw new PerennialError('unseal_failed');
  return { kind: 'token', accessToken, tokens };
}

async function refresh({
  work,
  tokens,
  earlier,
}: {
  readonly work: Asked;
  readonly tokens: SealedTokens;
  readonly earlier: Intent | null;
}): Promise<AccessOutcome> {
  const { context, authorization, key, source } = work;
  const opened = openTokens({ key, row: tokens });
  const { refreshToken } = opened;
  if (refreshToken === null) return { kind: 'dead', reason: 'refresh_expired' };
  const sinceStart = context.clock.stopwatch();
  const spending = await spendOnce({
    work,
    kind: 'refresh',
    tokenVersion: tokens.version,
    earlier,
    send: (options) => source.refresh({ refreshToken, ...options }),
    lookAgain: (options) => source.introspect({ token: refreshToken, of: 'refresh_token', ...options }),
  });
  context.metrics.refresh({
    network: authorization.network,
    outcome: spending.kind === 'trouble' ? spending.trouble : spending.kind,
    durationMs: sinceStart(),
  });
  return settle({ work, tokens, opened, spending });
}

async function settle({
  work,
  tokens,
  opened,
  spending,
}: {
  readonly work: Asked;
  readonly tokens: SealedTokens;
  readonly opened: OpenTokens;
  readonly spending: Spending;
}): Promise<AccessOutcome> {
  const { context, authorization, key } = work;
  switch (spending.kind) {
    case 'granted': {
      const { grant, sentAt, unsureAt } = spending;
      const { planWith } = work;
      const beside = planWith === undefined ? {} : { planWith };
      const committed = await commitGrant({ work, grant, sentAt, unsureAt, tokens, opened, ...beside });
      if (committed.kind === 'committed')
        return {
          kind: 'token',
          accessToken: grant.accessToken,
          tokens: committed.tokens,
          planned: committed.planned,
        };
      await rescueGrant({ work, grant, sentAt, tokens });
      return siblingsTokens({ work, tokens });
    }
    case 'refused': {
      const winner = await siblingsTokens({ work, tokens });
      if (winner.kind === 'token') return winner;
      const unsureBefore = spending.unsureBefore || tokens.doubtAt !== null;
      return {
        kind: 'dead',
        reason: deadReasonOf({ unsureBefore, now: context.clock.now(), ends: authorization.ends }),
      };
    }
    case 'trouble': {
      const { trouble, hintMs } = spending;
      // After a sent request without an answer the old access token may be dead already; a source that says it is away has not replaced it.
      const holds = !work.rejected && trouble !== 'unsure' && context.clock.now() < tokens.accessExpiresAt;
      return { kind: 'later', trouble, hintMs, meanwhile: holds ? use({ key, tokens }) : null };
    }
    case 'cancelled':
      return { kind: 'cancelled' };
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
  // A new consent by public token has no access token yet.
  const { accessToken } = openTokens({ key: work.key, row: stored });
  return accessToken === null ? { kind: 'superseded' } : { kind: 'token', accessToken, tokens: stored };
}
