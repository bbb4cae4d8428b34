import { z } from 'zod';
import { type Access, judgeAccess } from './access.ts';
import { revokePatient } from './authorizations.ts';
import { consentOf, stateOf } from './consent.ts';
import { evolve } from './evolution.ts';
import { firstPair } from './grants.ts';
import { recordOf } from './patients.ts';
import { boom, json, Refusal, type Reply } from './reply.ts';
import { bearerOf, jsonBody, type Request } from './request.ts';
import type { Handler, Route } from './router.ts';
import { type Authorization, knobsOf, type Sandbox } from './state.ts';
import { endpointView, outageReply, timeUntilMaxAuth, tokenReply } from './token-replies.ts';

const exchangeBody = z.object({ public_token: z.string().min(1), secret_key: z.string().min(1) });
const revokeBody = z.object({ secret_key: z.string().min(1) });

/** The Link API apart from the token endpoint (contract 1.2, 1.5, 1.6, 1.10). `/link/refresh` is gone since v1 (0.1). */
export const linkRoutes: readonly Route[] = [
  { method: 'POST', path: '/link/exchange', handle: exchange },
  { method: 'GET', path: '/link/introspect', handle: introspect },
  { method: 'POST', path: '/link/revoke', handle: revoke },
  { method: 'GET', path: '/rest/consent', handle: consent },
];

/** Spends a public token: single use, and only until it expires. Also what the control plane's `?exchange=true` does. */
export function exchangePublicToken(sandbox: Sandbox, publicToken: string): Reply {
  const grant = sandbox.publicTokens.get(publicToken);
  const authorization = grant && sandbox.authorizations.get(grant.authorizationId);
  const invalid = (why: string): Reply => boom(400, `Invalid public token. ${why}`);
  if (grant === undefined || authorization === undefined) return invalid('Public token is not known.');
  if (grant.used) return invalid('Public token has already been exchanged.');
  if (sandbox.now() >= grant.expiresAtMs) return invalid('Public token has expired.');
  grant.used = true;
  authorization.exchangedAtMs = sandbox.now();
  const pair = firstPair(sandbox, authorization);
  authorization.tally.exchanges += 1;
  return tokenReply(sandbox, authorization, pair, 'exchange');
}

function exchange(...[sandbox, request]: Parameters<Handler>): Reply {
  const body = jsonBody(request, exchangeBody);
  const id = sandbox.publicTokens.get(body.public_token)?.authorizationId;
  const knobs = knobsOf(sandbox, id === undefined ? undefined : sandbox.authorizations.get(id));
  const slow = { delayMs: knobs.slowTokenMs };
  const outage = outageReply(knobs);
  if (outage !== null) return { ...outage, ...slow };
  if (knobs.invalidClient || body.secret_key !== sandbox.secretKey) return boom(401, 'Invalid secret key');
  return { ...exchangePublicToken(sandbox, body.public_token), ...slow };
}

function introspect(...[sandbox, request]: Parameters<Handler>): Reply {
  const access = patientAccess(sandbox, request, 'expired-too');
  const { authorization, grant } = access;
  const knobs = knobsOf(sandbox, authorization);
  evolve(authorization.patient, knobs, sandbox.now());
  return json(200, {
    jti: authorization.id,
    sub: authorization.id,
    iat: Math.floor(grant.issuedAtMs / 1000),
    exp: Math.floor(grant.expiresAtMs / 1000),
    patient: `Patient/${authorization.patient.id}`,
    state: grant.supersededAtMs === null ? stateOf(authorization) : 'REFRESHED',
    endpoint: endpointView(authorization.endpoint),
    timeUntilMaxAuth: timeUntilMaxAuth(sandbox, authorization),
    user: authorization.externalId === null ? undefined : { externalId: authorization.externalId },
    sync: { resourceTypes: countByType(authorization) },
  });
}

function revoke(...[sandbox, request]: Parameters<Handler>): Reply {
  const { secret_key } = jsonBody(request, revokeBody);
  const { authorization } = patientAccess(sandbox, request);
  if (secret_key !== sandbox.secretKey) return boom(401, 'Invalid secret key');
  return json(200, { count: revokePatient(sandbox, authorization.patient, authorization.endpoint.id) });
}

function consent(...[sandbox, request]: Parameters<Handler>): Reply {
  return json(200, consentOf(sandbox, patientAccess(sandbox, request).authorization));
}

/** Resources per type that this authorization can read now. */
export function countByType(authorization: Authorization): Record<string, number> {
  const counts: Record<string, number> = {};
  if (authorization.expunged) return counts;
  for (const { spec } of recordOf(authorization.patient).values()) counts[spec.type] = (counts[spec.type] ?? 0) + 1;
  return counts;
}

function patientAccess(
  sandbox: Sandbox,
  request: Request,
  accept?: 'expired-too',
): Pick<Extract<Access, { kind: 'patient' }>, 'authorization' | 'grant'> {
  const access = judgeAccess(sandbox, bearerOf(request));
  if (access.kind === 'patient') return access;
  if (access.kind === 'dead' && access.why === 'expired' && access.authorization && access.grant && accept) {
    const { authorization, grant } = access;
    if (knobsOf(sandbox, authorization).expiredIntrospect === '200') return { authorization, grant };
  }
  throw new Refusal(boom(401, 'Invalid access token'));
}
