import { LIMITS } from './limits.ts';
import { boom, json, type Reply } from './reply.ts';
import type { Handler, Route } from './router.ts';
import type { Sandbox } from './state.ts';
import { instantOf } from './synth/chart.ts';

/** What anybody may read: the directory (contract 5) and the discovery documents (1.9). */
export const openRoutes: readonly Route[] = [
  { method: 'GET', path: '/endpoints', handle: endpoints },
  { method: 'GET', path: '/organizations', handle: organizations },
  { method: 'GET', path: '/.well-known/oauth-authorization-server', handle: oauthMetadata },
  { method: 'GET', path: '/.well-known/openid-configuration', handle: oauthMetadata },
  { method: 'GET', path: '/.well-known/smart-configuration', handle: smartConfiguration },
  // Where SMART looks for it: under the FHIR base. Flexpa has it at the root only (contract 8.1).
  { method: 'GET', path: '/fhir/.well-known/smart-configuration', handle: smartConfiguration },
  { method: 'GET', path: '/.well-known/oauth-protected-resource', handle: protectedResource },
  { method: 'GET', path: '/.well-known/jwks.json', handle: (sandbox) => json(200, sandbox.signer.jwks) },
];

/** The one date on directory rows: they never change while a sandbox runs. */
const UPDATED_AT_MS = 1_780_272_000_000;

function endpoints(...[sandbox, request]: Parameters<Handler>): Reply {
  const limitText = request.query.get('limit') ?? String(LIMITS.endpointsDefault);
  const limit = /^\d{1,6}$/.test(limitText) ? Math.min(Number(limitText), LIMITS.endpointsMax) : 0;
  if (limit === 0) return boom(400, 'Invalid request query input: limit');
  const withUnavailable = request.query.get('includeUnavailable') === 'true';
  const listed = sandbox.directory.filter((it) => withUnavailable || it.status === 'CONNECTED');
  const cursor = request.query.get('cursor');
  const start = cursor === null ? 0 : listed.findIndex((it) => it.id === cursor);
  if (start === -1) return boom(400, 'Invalid request query input: cursor');
  const page = listed.slice(start, start + limit);
  const next = listed[start + limit];
  return json(200, {
    data: page.map((endpoint) => endpointRow(endpoint)),
    meta: { hasMore: next !== undefined, nextCursor: next?.id ?? null },
  });
}

function endpointRow(endpoint: Sandbox['directory'][number]): Record<string, unknown> {
  const { organizationId, ...shown } = endpoint;
  const payer = endpoint.network === 'CMS_9115';
  return {
    ...shown,
    mode: 'TEST',
    useMTLS: false,
    developerPortal: null,
    allowsFinancialCalculation: payer,
    updatedAt: instantOf(UPDATED_AT_MS),
    organization: {
      id: organizationId,
      name: endpoint.label[0],
      supportsMedicaidLOB: false,
      supportsMedicareLOB: payer,
      supportsFullyFundedLOB: payer,
      supportsSelfFundedLOB: payer,
      supportsACAOnExLOB: payer,
      supportsACAOffExLOB: false,
      supportsCHIPLOB: false,
    },
  };
}

function organizations(sandbox: Sandbox): Reply {
  const rows = sandbox.directory.map((endpoint) => ({
    id: endpoint.organizationId,
    name: endpoint.label[0],
    note: null,
    type: endpoint.network === 'CMS_9115' ? 'PAYER' : 'PROVIDER',
  }));
  return json(200, rows);
}

function oauthMetadata(sandbox: Sandbox): Reply {
  const at = (path: string): string => `${sandbox.baseUrl}${path}`;
  return json(200, {
    issuer: sandbox.baseUrl,
    authorization_endpoint: at('/oauth/authorize'),
    token_endpoint: at('/oauth/token'),
    registration_endpoint: at('/oauth/register'),
    jwks_uri: at('/.well-known/jwks.json'),
    response_types_supported: ['code'],
    grant_types_supported: ['authorization_code', 'refresh_token', 'client_credentials'],
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'none'],
    scopes_supported: ['launch/patient', 'offline_access'],
  });
}

function smartConfiguration(sandbox: Sandbox): Reply {
  return json(200, {
    authorization_endpoint: `${sandbox.baseUrl}/link/auth`,
    token_endpoint: `${sandbox.baseUrl}/link/token`,
    grant_types_supported: ['authorization_code', 'refresh_token', 'client_credentials'],
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'none'],
    scopes_supported: ['launch/patient', 'offline_access'],
    capabilities: [
      'launch-standalone',
      'client-public',
      'client-confidential-symmetric',
      'context-standalone-patient',
      'permission-offline',
      'permission-patient',
    ],
  });
}

function protectedResource(sandbox: Sandbox): Reply {
  return json(200, { resource: `${sandbox.baseUrl}/mcp`, authorization_servers: [sandbox.baseUrl] });
}
