import { expungeIfOver } from './authorizations.ts';
import { type AccessGrant, type Authorization, knobsOf, type Sandbox } from './state.ts';

/** What a bearer token is worth now. */
export type Access =
  | { readonly kind: 'patient'; readonly authorization: Authorization; readonly grant: AccessGrant }
  | { readonly kind: 'application' }
  | {
      readonly kind: 'dead';
      readonly authorization?: Authorization;
      readonly grant?: AccessGrant;
      readonly why: 'unknown' | 'ended' | 'expired';
    };

/** Judges a bearer token. A request with a token of a revoked authorization is counted on that authorization. */
export function judgeAccess(sandbox: Sandbox, token: string): Access {
  const applicationExpiry = sandbox.applicationTokens.get(token);
  if (applicationExpiry !== undefined) {
    return applicationExpiry > sandbox.now() ? { kind: 'application' } : { kind: 'dead', why: 'expired' };
  }
  const grant = sandbox.accessTokens.get(token);
  const authorization = grant && sandbox.authorizations.get(grant.authorizationId);
  if (grant === undefined || authorization === undefined) return { kind: 'dead', why: 'unknown' };
  if (authorization.revokedAtMs !== null) {
    authorization.tally.requestsAfterRevoke += 1;
    return { kind: 'dead', authorization, grant, why: 'ended' };
  }
  expungeIfOver(sandbox, authorization);
  if (grant.expiresAtMs <= sandbox.now()) return { kind: 'dead', authorization, grant, why: 'expired' };
  if (grant.supersededAtMs !== null && knobsOf(sandbox, authorization).oldAccessToken === 'dies') {
    return { kind: 'dead', authorization, grant, why: 'ended' };
  }
  return { kind: 'patient', authorization, grant };
}
