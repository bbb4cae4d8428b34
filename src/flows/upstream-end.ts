import type { Authorization, UpstreamEnd } from '../core/authorization.ts';
import { codeOf } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import type { Source } from '../core/ports/upstream.ts';
import type { Context } from './context.ts';
import { type OpenTokens, openTokens } from './token-vault.ts';

type Ending = { readonly context: Context; readonly authorization: Authorization };
type Wanted = { readonly revoke: boolean; readonly expunge: boolean };

/**
 * Ends an authorization at its source, as far as it was asked for: its data there expunged, then its tokens revoked, since the first needs the second. Best
 * effort, each request bounded by its own deadline. It never rejects: a source that is away must not keep the data alive here.
 */
export async function endUpstream({ context, authorization }: Ending): Promise<UpstreamEnd> {
  const { id: authorizationId } = authorization;
  const source = context.sources.get(authorization.source);
  const wanted = wantedOf({ authorization, source });
  if (!wanted.revoke && !wanted.expunge) return 'not_asked';
  try {
    const outcome = source === undefined ? 'failed' : await endAt({ context, authorizationId, source, wanted });
    context.log.info('ended_upstream', { authorizationId, outcome });
    return outcome;
  } catch (error) {
    context.log.warn('not_ended_upstream', { authorizationId, code: codeOf(error) });
    return 'failed';
  }
}

/** Whether anything is to be done at the source. */
export function asksUpstream({ context, authorization }: Ending): boolean {
  const { revoke, expunge } = wantedOf({ authorization, source: context.sources.get(authorization.source) });
  return revoke || expunge;
}

/** What the caller asked for; else a purge that somebody asked for revokes where the source's settings say so. */
function wantedOf({
  authorization: { atEnd, purgeReason },
  source,
}: {
  readonly authorization: Authorization;
  readonly source: Source | undefined;
}): Wanted {
  if (atEnd !== null) return { revoke: atEnd !== 'nothing', expunge: atEnd === 'expunge' };
  return { revoke: purgeReason === 'requested' && source?.revokeOnPurge === true, expunge: false };
}

type EndAt = {
  readonly context: Context;
  readonly authorizationId: string;
  readonly source: Source;
  readonly wanted: Wanted;
};

async function endAt({ context: { store, vault, clock }, authorizationId, ...ending }: EndAt): Promise<UpstreamEnd> {
  const row = await store.tokens(authorizationId);
  const isExpired = row !== null && clock.now() >= row.accessExpiresAt;
  if (row === null || (isExpired && !row.hasRefreshToken)) return 'no_token';
  const stored = openTokens({ key: await vault.open(authorizationId), row });
  if (stored.accessToken === null && stored.refreshToken === null) return 'no_token';
  const first = isExpired ? 'failed' : await endWith({ ...ending, tokens: stored });
  const renewed = first === 'failed' ? await renew({ source: ending.source, tokens: stored }) : null;
  if (renewed === null) return isExpired ? endWith({ ...ending, tokens: stored }) : first;
  return endWith({ ...ending, tokens: renewed });
}

/**
 * One more pair, where the stored access token is over or refused: Flexpa revokes by an access token only. No intent stands behind it and nobody keeps it, since
 * the authorization is at its end: what a crash loses here is a token that was to be revoked.
 */
async function renew({
  source,
  tokens,
}: {
  readonly source: Source;
  readonly tokens: OpenTokens;
}): Promise<OpenTokens | null> {
  if (tokens.refreshToken === null) return null;
  const signal = AbortSignal.timeout(LIMITS.tokenRequestTimeoutMs);
  const reply = await source.refresh({ refreshToken: tokens.refreshToken, signal, mayStillSend: () => true });
  if (reply.kind !== 'reply' || reply.grant === null) return null;
  const { accessToken, refreshToken } = reply.grant;
  return { ...tokens, accessToken, refreshToken: refreshToken ?? tokens.refreshToken };
}

async function endWith({
  source,
  wanted,
  tokens,
}: Pick<EndAt, 'source' | 'wanted'> & { readonly tokens: OpenTokens }): Promise<UpstreamEnd> {
  const expunged = wanted.expunge ? await expungeAt({ source, tokens }) : 'not_supported';
  const revoked = await source.revoke({ ...tokens, signal: AbortSignal.timeout(LIMITS.tokenRequestTimeoutMs) });
  if (expunged === 'expunged') return revoked === 'revoked' ? 'revoked_and_expunged' : 'expunged';
  return revoked === 'revoked' ? 'revoked' : 'failed';
}

async function expungeAt({
  source: { expunge },
  tokens: { accessToken, patient },
}: {
  readonly source: Source;
  readonly tokens: OpenTokens;
}): Promise<'expunged' | 'unconfirmed' | 'not_supported'> {
  if (expunge === null) return 'not_supported';
  if (accessToken === null || patient === null) return 'unconfirmed';
  return expunge({ accessToken, patient, signal: AbortSignal.timeout(LIMITS.tokenRequestTimeoutMs) });
}
