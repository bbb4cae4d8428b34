import type { DeadReason } from '../core/authorization.ts';
import type { Instant } from '../core/clock.ts';
import { LIMITS } from '../core/limits.ts';
import { ensureAccessToken } from './refresh.ts';
import { openTokens } from './token-vault.ts';
import type { Work } from './work.ts';

/**
 * The second look after a source answered 404 to everything that was asked: Blue Button says so where a whole grant has ended (contract, section 8.9), others
 * where they lack a type. The source is asked about the token; where it cannot tell, the refresh token is offered, and its refusal settles it. Gives the
 * reason of the end, or null while the grant lives.
 */
export async function lookForGrant({
  work,
  neededUntil,
}: {
  readonly work: Work;
  readonly neededUntil: Instant;
}): Promise<DeadReason | null> {
  const { context, authorization, key, source } = work;
  const row = await context.store.tokens(authorization.id);
  if (row === null) return null;
  const { accessToken, refreshToken } = openTokens({ key, row });
  if (accessToken === null) return null;
  const signal = AbortSignal.timeout(LIMITS.introspectionTimeoutMs);
  const told = await source.introspect({ token: accessToken, of: 'access_token', signal });
  if (told.kind === 'active') return null;
  if (told.kind === 'inactive') return 'grant_not_found';
  if (refreshToken === null) return null;
  const access = await ensureAccessToken({ ...work, neededUntil, rejected: true });
  if (access.kind !== 'dead') return null;
  // What we may have lost ourselves, and an end that was known, keep their own names.
  return access.reason === 'revoked' ? 'grant_not_found' : access.reason;
}
