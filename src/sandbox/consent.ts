import type { Endpoint } from './directory.ts';
import { namedUuid } from './random.ts';
import { type Authorization, knobsOf, type Sandbox } from './state.ts';
import { instantOf } from './synth/chart.ts';

/** The state word of an authorization (contract 1.5). */
export function stateOf(authorization: Authorization): 'AUTHORIZED' | 'EXCHANGED' | 'REVOKED' {
  if (authorization.revokedAtMs !== null) return 'REVOKED';
  return authorization.exchangedAtMs === null ? 'AUTHORIZED' : 'EXCHANGED';
}

/** The consent object (contract 1.10). With the knob above 1 it also lists siblings at other, unlike endpoints, which hold no data. */
export function consentOf(sandbox: Sandbox, authorization: Authorization): Record<string, unknown> {
  const createdAt = instantOf(authorization.authorizedAtMs);
  const siblings = knobsOf(sandbox, authorization).authorizationsPerConsent - 1;
  const others = sandbox.directory.filter((endpoint) => endpoint.id !== authorization.endpoint.id);
  const rows = Array.from({ length: Math.min(siblings, others.length) }, (_unused, index) => {
    // Refreshable and non-refreshable ones in turn, since mixed refreshability is what the knob is for.
    const wanted = others.filter((endpoint) => endpoint.refreshable === (index % 2 === 1));
    const endpoint = wanted[Math.floor(index / 2)] ?? others[index];
    return endpoint && siblingRow(authorization, endpoint, index);
  });
  return {
    id: authorization.consentId,
    createdAt,
    updatedAt: null,
    patientAuthorizations: [ownRow(sandbox, authorization), ...rows],
  };
}

function ownRow(sandbox: Sandbox, authorization: Authorization): Record<string, unknown> {
  const expired = authorization.access.every((grant) => grant.expiresAtMs <= sandbox.now());
  return {
    id: authorization.id,
    state: stateOf(authorization),
    usage: authorization.usage,
    createdAt: instantOf(authorization.authorizedAtMs),
    authorizedAt: instantOf(authorization.authorizedAtMs),
    exchangedAt: authorization.exchangedAtMs === null ? null : instantOf(authorization.exchangedAtMs),
    revokedAt: authorization.revokedAtMs === null ? null : instantOf(authorization.revokedAtMs),
    expiredAt: null,
    patient: `Patient/${authorization.patient.id}`,
    endpoint: consentEndpoint(authorization.endpoint),
    active: authorization.revokedAtMs === null && !expired,
    type: authorization.endpoint.network === 'CMS_9115' ? 'PAYER' : 'PROVIDER',
  };
}

function siblingRow(authorization: Authorization, endpoint: Endpoint, index: number): Record<string, unknown> {
  const at = instantOf(authorization.authorizedAtMs);
  return {
    id: namedUuid(`${authorization.id}/sibling/${index}`),
    state: 'EXCHANGED',
    usage: authorization.usage,
    createdAt: at,
    authorizedAt: at,
    exchangedAt: at,
    revokedAt: null,
    expiredAt: null,
    patient: null,
    endpoint: consentEndpoint(endpoint),
    active: true,
  };
}

function consentEndpoint({ id, name, label, refreshable }: Endpoint): Record<string, unknown> {
  return { id, name, label, refreshable };
}
