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

async function endAt({
  context: { store, vault, clock },
  authorizationId,
  source,
  wanted,
}: {
  readonly context: Context;
  readonly authorizationId: string;
  readonly source: Source;
  readonly wanted: Wanted;
}): Promise<UpstreamEnd> {
  const row = await store.tokens(authorizationId);
  if (row === null || (clock.now() >= row.accessExpiresAt && !row.hasRefreshToken)) return 'no_token';
  const tokens = openTokens({ key: await vault.open(authorizationId), row });
  if (tokens.accessToken === null && tokens.refreshToken === null) return 'no_token';
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
