import type { Instant } from '../core/clock.ts';
import { LIMITS } from '../core/limits.ts';
import { ensureAccessToken } from './refresh.ts';
import { openTokens } from './token-vault.ts';
import type { Work } from './work.ts';

/**
 * The second look after a source answered 404 to everything that was asked: Blue Button says so where a whole grant has ended (contract, section 8.9), others
 * where they lack a type. The source is asked about the token; where it cannot tell, the refresh token is offered, and its refusal settles it.
 */
export async function isGrantGone({
  work,
  neededUntil,
}: {
  readonly work: Work;
  readonly neededUntil: Instant;
}): Promise<boolean> {
  const { context, authorization, key, source } = work;
  const row = await context.store.tokens(authorization.id);
  if (row === null) return false;
  const { accessToken, refreshToken } = openTokens({ key, row });
  if (accessToken === null) return false;
  const signal = AbortSignal.timeout(LIMITS.introspectionTimeoutMs);
  const told = await source.introspect({ token: accessToken, of: 'access_token', signal });
  if (told.kind === 'inactive') return true;
  if (refreshToken === null) return false;
  const access = await ensureAccessToken({ ...work, neededUntil, rejected: true });
  return access.kind === 'dead';
}
