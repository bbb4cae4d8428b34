import { maxAuthAtMs } from './authorizations.ts';
import type { Endpoint } from './directory.ts';
import type { Knobs } from './knobs.ts';
import { boom, json, type Reply } from './reply.ts';
import { type Authorization, knobsOf, type Pair, type Sandbox } from './state.ts';

/** The `endpoint` object of exchange, introspect and consent replies: exactly these members (contract 1.2). */
export function endpointView(endpoint: Endpoint): Record<string, unknown> {
  const { id, name, label, refreshable, resources } = endpoint;
  return { id, name, label, refreshable, resources };
}

/** `timeUntilMaxAuth` in the form the knob asks for: seconds, "unknown" or "indefinite". */
export function timeUntilMaxAuth(sandbox: Sandbox, authorization: Authorization): number | string {
  const form = knobsOf(sandbox, authorization).timeUntilMaxAuth;
  if (form !== 'seconds') return form;
  const atMs = maxAuthAtMs(sandbox, authorization);
  return Number.isFinite(atMs) ? Math.max(0, Math.floor((atMs - sandbox.now()) / 1000)) : 'indefinite';
}

/** The reply to an exchange (contract 1.2) or a refresh (1.4), in the v1 or the v2 shape. */
export function tokenReply(
  sandbox: Sandbox,
  authorization: Authorization,
  pair: Pair,
  of: 'exchange' | 'refresh',
): Reply {
  const knobs = knobsOf(sandbox, authorization);
  const leftMs = pair.access.expiresAtMs - sandbox.now();
  const base = {
    access_token: pair.access.token,
    expires_in: knobs.fractionalExpiresIn ? leftMs / 1000 - 0.48 : Math.floor(leftMs / 1000),
    refresh_token: pair.refresh?.token,
    access_grant_expiration: grantExpiration(knobs, authorization),
  };
  if (knobs.tokenShape === 'v2') {
    const scope = pair.refresh === null ? 'launch/patient' : 'launch/patient offline_access';
    return json(200, { ...base, token_type: 'Bearer', scope });
  }
  const v1 = {
    ...base,
    refresh_expires_in: pair.refresh === null && of === 'exchange' ? null : refreshExpiresIn(knobs),
    timeUntilMaxAuth: timeUntilMaxAuth(sandbox, authorization),
  };
  if (of === 'refresh') return json(200, v1);
  return json(200, {
    ...v1,
    patient: `Patient/${authorization.patient.id}`,
    endpoint: endpointView(authorization.endpoint),
    user: authorization.externalId === null ? undefined : { externalId: authorization.externalId },
  });
}

/** The instant as Blue Button writes it: with a space, and no `T` (contract 8.9). */
function grantExpiration({ accessGrantMs }: Knobs, { authorizedAtMs }: Authorization): string | undefined {
  if (accessGrantMs === null) return undefined;
  return new Date(authorizedAtMs + accessGrantMs)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z');
}

/** What the token endpoints answer while the outage knob is turned, or null. Nothing is carried out in an outage. */
export function outageReply(knobs: Knobs): Reply | null {
  const html = { 'content-type': 'text/html; charset=utf-8' };
  switch (knobs.tokenOutage) {
    case 'none':
      return null;
    case '429':
      return { ...boom(429, 'Too Many Requests'), headers: { 'content-type': 'application/json', 'retry-after': '3' } };
    case '500':
      return boom(500, 'An internal server error occurred');
    case '503':
      return boom(503, 'Service Unavailable');
    case 'html':
      return { status: 502, headers: html, body: '<!doctype html><title>502 Bad Gateway</title><h1>Bad Gateway</h1>' };
    case 'not-json':
      return { status: 200, headers: { 'content-type': 'application/json' }, body: '{"access_token": "cut off he' };
  }
}

/** The refusal of wrong client credentials (contract 1.7). */
export function invalidClient(knobs: Knobs): Reply {
  return boom(401, 'Unauthorized: Invalid credentials', 'invalid_client', knobs.errorTextField);
}

function refreshExpiresIn(knobs: Knobs): number | null {
  if (knobs.refreshExpiresIn === 'zero') return 0;
  return knobs.refreshExpiresIn === 'null' ? null : Math.floor(knobs.refreshTokenMs / 1000);
}
