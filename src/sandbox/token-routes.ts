import { z } from 'zod';
import { mintApplicationToken, spendRefresh } from './grants.ts';
import { LIMITS } from './limits.ts';
import { boom, json, type Reply } from './reply.ts';
import { formOrJsonBody, type Request } from './request.ts';
import type { Handler, Route } from './router.ts';
import { knobsOf, type Sandbox, scopeOf } from './state.ts';
import { invalidClient, outageReply, tokenReply } from './token-replies.ts';

// Unknown members are let through, as RFC 6749 (3.2) asks of a token endpoint.
const tokenBody = z.object({ grant_type: z.string(), refresh_token: z.string().optional() });

/** `/link/token` and its alias `/oauth/token` (contract 1.4 and 1.9). */
export const tokenRoutes: readonly Route[] = ['/link/token', '/oauth/token'].map((path) => ({
  method: 'POST',
  path,
  handle: tokenEndpoint,
}));

function tokenEndpoint(...[sandbox, request]: Parameters<Handler>): Reply {
  const body = formOrJsonBody(request, tokenBody);
  if (body.grant_type === 'refresh_token') return refresh(sandbox, request, body.refresh_token ?? '');
  const knobs = knobsOf(sandbox);
  const outage = outageReply(knobs);
  if (outage !== null) return outage;
  if (knobs.invalidClient || !clientIsKnown(sandbox, request)) return invalidClient(knobs);
  if (body.grant_type !== 'client_credentials') {
    return boom(400, 'Unsupported grant type', 'unsupported_grant_type', knobs.errorTextField);
  }
  const expires_in = LIMITS.applicationTokenMs / 1000;
  return json(200, { access_token: mintApplicationToken(sandbox), expires_in, token_type: 'Bearer' });
}

function refresh(sandbox: Sandbox, request: Request, token: string): Reply {
  const grant = sandbox.refreshTokens.get(token);
  const authorization = grant && sandbox.authorizations.get(grant.authorizationId);
  const knobs = knobsOf(sandbox, authorization);
  const slow = { delayMs: knobs.slowTokenMs };
  const outage = outageReply(knobs);
  if (outage !== null) return { ...outage, ...slow };
  if (knobs.invalidClient || !clientIsKnown(sandbox, request)) return { ...invalidClient(knobs), ...slow };
  if (token === '') return boom(400, 'refresh_token is required', 'invalid_request', knobs.errorTextField);
  const dead = (text: string): Reply => ({
    ...boom(knobs.deadRefreshStatus, text, knobs.deadRefreshCode, knobs.errorTextField),
    ...slow,
  });
  if (grant === undefined || authorization === undefined) return dead('Invalid refresh token');
  const spent = spendRefresh(sandbox, grant, authorization);
  if ('refused' in spent) return dead(spent.refused);
  const reply = { ...tokenReply(sandbox, authorization, spent.pair, 'refresh'), ...slow };
  if (!sandbox.knobs.takeLostReply(scopeOf(authorization))) return reply;
  authorization.tally.lostReplies += 1;
  return { ...reply, cut: 'before' };
}

function clientIsKnown(sandbox: Sandbox, request: Request): boolean {
  const encoded = /^Basic +(\S+)$/i.exec(request.authorization)?.[1];
  if (encoded === undefined) return false;
  const [id = '', ...secret] = Buffer.from(encoded, 'base64').toString('utf8').split(':');
  // RFC 6749 (2.3.1) form-encodes both before base64; Flexpa's SDK sends them raw. Either is taken (contract 8.5).
  const presented = [id, secret.join(':')].map(decodeForm).join(':');
  return presented === `${sandbox.publishableKey}:${sandbox.secretKey}`;
}

function decodeForm(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
