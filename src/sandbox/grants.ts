import { isRefreshable, maxAuthAtMs } from './authorizations.ts';
import { LIMITS } from './limits.ts';
import { namedToken, namedUuid } from './random.ts';
import { type AccessGrant, type Authorization, knobsOf, type Pair, type RefreshGrant, type Sandbox } from './state.ts';

/** Spending a refresh token: a pair to hand out, or the reason why not. */
export type Spent = { readonly pair: Pair } | { readonly refused: string };

/** The first pair of an authorization; without a refresh token where the grant cannot refresh. */
export function firstPair(sandbox: Sandbox, authorization: Authorization): Pair {
  const refresh = isRefreshable(authorization) ? mintRefresh(sandbox, authorization) : null;
  return { access: mintAccess(sandbox, authorization), refresh };
}

/** Spends a refresh token by the policy in force (contract 9, first row). All state has moved when this returns. */
export function spendRefresh(sandbox: Sandbox, grant: RefreshGrant, authorization: Authorization): Spent {
  const nowMs = sandbox.now();
  if (authorization.revokedAtMs !== null) {
    authorization.tally.requestsAfterRevoke += 1;
    return refuse(authorization, 'Authorization was revoked');
  }
  if (nowMs >= grant.expiresAtMs) return refuse(authorization, 'Refresh token has expired');
  if (nowMs >= maxAuthAtMs(sandbox, authorization))
    return refuse(authorization, 'Maximum authorization period reached');
  if (grant.spentAtMs !== null) return spendAgain(sandbox, grant, authorization, nowMs - grant.spentAtMs);
  const { oldRefreshToken, refreshReplyHasRefreshToken } = knobsOf(sandbox, authorization);
  authorization.tally.refreshes += 1;
  if (!refreshReplyHasRefreshToken) return { pair: { access: renewAccess(sandbox, authorization), refresh: null } };
  if (oldRefreshToken === 'never') {
    grant.expiresAtMs = refreshExpiryMs(sandbox, authorization);
    return { pair: { access: renewAccess(sandbox, authorization), refresh: grant } };
  }
  return { pair: rotate(sandbox, grant, authorization) };
}

/** An application access token for client_credentials (contract 1.9). */
export function mintApplicationToken(sandbox: Sandbox): string {
  const nowMs = sandbox.now();
  const exp = Math.floor((nowMs + LIMITS.applicationTokenMs) / 1000);
  const jti = namedUuid(`perennial-sandbox/${sandbox.seed}/application-token/${sandbox.requests}`);
  const token = sandbox.signer.sign({ jti, sub: sandbox.publishableKey, iat: Math.floor(nowMs / 1000), exp });
  sandbox.applicationTokens.set(token, nowMs + LIMITS.applicationTokenMs);
  const [oldest] = sandbox.applicationTokens.keys();
  if (sandbox.applicationTokens.size > LIMITS.applicationTokens && oldest) sandbox.applicationTokens.delete(oldest);
  return token;
}

function spendAgain(sandbox: Sandbox, grant: RefreshGrant, authorization: Authorization, sinceMs: number): Spent {
  const { oldRefreshToken, refreshGraceMs } = knobsOf(sandbox, authorization);
  authorization.tally.reusedRefreshTokens += 1;
  const successor = grant.successor;
  if (sinceMs <= refreshGraceMs && successor !== null) {
    if (oldRefreshToken === 'grace-same' && successor.refresh?.spentAtMs === null) return { pair: successor };
    if (oldRefreshToken === 'grace-new') {
      // The pair of the first answer counts as spent from here on, so that one chain of valid tokens remains.
      if (successor.refresh && successor.refresh.spentAtMs === null) successor.refresh.spentAtMs = sandbox.now();
      return { pair: rotate(sandbox, grant, authorization) };
    }
  }
  if (oldRefreshToken === 'family-revoke') {
    authorization.revokedAtMs = sandbox.now();
    authorization.tally.revocations += 1;
  }
  return refuse(authorization, 'Refresh token has already been used');
}

function rotate(sandbox: Sandbox, grant: RefreshGrant, authorization: Authorization): Pair {
  const pair = { access: renewAccess(sandbox, authorization), refresh: mintRefresh(sandbox, authorization) };
  grant.spentAtMs ??= sandbox.now();
  grant.successor = pair;
  return pair;
}

function refuse(authorization: Authorization, refused: string): Spent {
  authorization.tally.refusedRefreshTokens += 1;
  return { refused };
}

function renewAccess(sandbox: Sandbox, authorization: Authorization): AccessGrant {
  for (const grant of authorization.access) grant.supersededAtMs ??= sandbox.now();
  return mintAccess(sandbox, authorization);
}

function mintAccess(sandbox: Sandbox, authorization: Authorization): AccessGrant {
  const nowMs = sandbox.now();
  const expiresAtMs = nowMs + knobsOf(sandbox, authorization).accessTokenMs;
  const { exchanges, refreshes, reusedRefreshTokens } = authorization.tally;
  const token = sandbox.signer.sign({
    iss: sandbox.baseUrl,
    jti: namedUuid(`${authorization.id}/access/${exchanges}/${refreshes}/${reusedRefreshTokens}`),
    sub: authorization.id,
    patient: `Patient/${authorization.patient.id}`,
    iat: Math.floor(nowMs / 1000),
    exp: Math.floor(expiresAtMs / 1000),
  });
  const grant = { token, authorizationId: authorization.id, issuedAtMs: nowMs, expiresAtMs, supersededAtMs: null };
  sandbox.accessTokens.set(token, grant);
  authorization.access.push(grant);
  for (const old of authorization.access.splice(0, authorization.access.length - LIMITS.rememberedTokens)) {
    sandbox.accessTokens.delete(old.token);
  }
  return grant;
}

function mintRefresh(sandbox: Sandbox, authorization: Authorization): RefreshGrant {
  authorization.refreshTokensMinted += 1;
  const token = namedToken(`${sandbox.seed}/${authorization.id}/refresh/${authorization.refreshTokensMinted}`);
  const expiresAtMs = refreshExpiryMs(sandbox, authorization);
  const grant = { token, authorizationId: authorization.id, expiresAtMs, spentAtMs: null, successor: null };
  sandbox.refreshTokens.set(token, grant);
  authorization.refresh.push(grant);
  for (const old of authorization.refresh.splice(0, authorization.refresh.length - LIMITS.rememberedTokens)) {
    sandbox.refreshTokens.delete(old.token);
  }
  return grant;
}

function refreshExpiryMs(sandbox: Sandbox, authorization: Authorization): number {
  const { refreshExpiresIn, refreshTokenMs } = knobsOf(sandbox, authorization);
  return refreshExpiresIn === 'zero' ? Number.POSITIVE_INFINITY : sandbox.now() + refreshTokenMs;
}
