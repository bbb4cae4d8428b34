import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type ClientMetadata, Provider } from 'oidc-provider';
import { memoryOfOne } from './oidc-memory.ts';
import { createFhir, type Resource } from './smart-fhir.ts';

const SCOPE = 'offline_access launch/patient patient/*.rs';

/** One patient's consent for one client, with the first pair of tokens as the code flow would have given it. */
export type Consent = {
  readonly patient: string;
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly expiresIn: number;
  readonly grantId: string;
};

/** An authorization server by others (oidc-provider, certified) with a small FHIR server beside it, as one SMART server on loopback. */
export type SmartAuthority = {
  readonly url: string;
  readonly fhirBaseUrl: string;
  /** A patient consents. Without a name it is a new patient. */
  readonly mint: (request: { readonly clientId: string; readonly patient?: string }) => Promise<Consent>;
  /** The patient takes it back: all tokens of the consent are dead at once. */
  readonly withdraw: (consent: Consent) => Promise<void>;
  /** Adds or replaces a resource; it belongs to the patient that its `patient` or `subject` refers to. */
  readonly put: (resource: Resource) => void;
  readonly remove: (reference: string) => void;
  /** How often each path was asked, as `POST /token`. */
  readonly asked: (what: string) => number;
  readonly close: () => Promise<void>;
};

/**
 * Starts it. Refresh tokens rotate, and a used one that comes back ends its whole family, unless `rotates` says otherwise. Times are the wall's: it knows
 * no fast clock.
 */
export async function startSmartAuthority({
  clients,
  rotates = true,
  accessTokenSeconds = 3_600,
  refreshTokenSeconds = 90 * 86_400,
  port = 0,
}: {
  readonly clients: readonly ClientMetadata[];
  readonly rotates?: boolean;
  readonly accessTokenSeconds?: number;
  readonly refreshTokenSeconds?: number;
  readonly port?: number;
}): Promise<SmartAuthority> {
  const asked = new Map<string, number>();
  let handle: (request: IncomingMessage, response: ServerResponse) => Promise<void> = async () => {};
  const server = createServer((request, response) => {
    const what = `${request.method} ${request.url?.replace(/\?.*$/, '')}`;
    asked.set(what, (asked.get(what) ?? 0) + 1);
    void handle(request, response);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : port}`;
  const provider = openProvider({ url, clients, rotates, accessTokenSeconds, refreshTokenSeconds });
  const authorize = provider.callback();
  const fhir = createFhir({ baseUrl: `${url}/fhir`, endpoints: endpointsAt(url), patientOf: patientOf(provider) });
  handle = (request, response) =>
    request.url?.startsWith('/fhir/') ? fhir.answer(request, response) : authorize(request, response);
  return {
    url,
    fhirBaseUrl: `${url}/fhir`,
    mint: ({ clientId, patient = randomUUID() }) => mint({ provider, clientId, patient, accessTokenSeconds }),
    withdraw: async ({ grantId }) => {
      await (await provider.Grant.find(grantId))?.destroy();
      await provider.AccessToken.revokeByGrantId(grantId);
      await provider.RefreshToken.revokeByGrantId(grantId);
    },
    put: fhir.put,
    remove: fhir.remove,
    asked: (what) => asked.get(what) ?? 0,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function endpointsAt(url: string) {
  return {
    issuer: url,
    token_endpoint: `${url}/token`,
    introspection_endpoint: `${url}/token/introspection`,
    revocation_endpoint: `${url}/token/revocation`,
    grant_types_supported: ['authorization_code', 'refresh_token'],
    capabilities: [
      'permission-offline',
      'client-public',
      'client-confidential-symmetric',
      'client-confidential-asymmetric',
    ],
    code_challenge_methods_supported: ['S256'],
  };
}

function openProvider({
  url,
  clients,
  rotates,
  accessTokenSeconds,
  refreshTokenSeconds,
}: {
  readonly url: string;
  readonly clients: readonly ClientMetadata[];
  readonly rotates: boolean;
  readonly accessTokenSeconds: number;
  readonly refreshTokenSeconds: number;
}): Provider {
  const usual = {
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: ['https://app.test/callback'],
    response_types: ['code'],
  };
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const provider = new Provider(url, {
    adapter: memoryOfOne(),
    clients: clients.map((client) => ({ ...usual, ...client })),
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
    enabledJWA: { clientAuthSigningAlgValues: ['RS384', 'ES384'] },
    scopes: SCOPE.split(' '),
    rotateRefreshToken: rotates,
    ttl: { AccessToken: accessTokenSeconds, RefreshToken: refreshTokenSeconds, Grant: refreshTokenSeconds },
    findAccount: async (_context: unknown, accountId: string) => ({
      accountId,
      claims: async () => ({ sub: accountId }),
    }),
    features: {
      devInteractions: { enabled: false },
      introspection: { enabled: true, allowedPolicy: async () => true },
      revocation: { enabled: true, allowedPolicy: async () => true },
    },
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256' }] },
    cookies: { keys: [randomUUID()] },
  });
  // SMART's context: whose records the token opens, as a bare id beside the token.
  provider.use(async (context, next) => {
    await next();
    const patient = context.oidc?.route === 'token' ? context.oidc.entities.Account?.accountId : undefined;
    if (patient === undefined || context.status !== 200 || typeof context.body !== 'object') return;
    context.body = { ...context.body, patient };
  });
  return provider;
}

async function mint({
  provider,
  clientId,
  patient,
  accessTokenSeconds,
}: {
  readonly provider: Provider;
  readonly clientId: string;
  readonly patient: string;
  readonly accessTokenSeconds: number;
}): Promise<Consent> {
  const client = await provider.Client.find(clientId);
  if (client === undefined) throw new Error(`no client ${clientId}`);
  const grant = new provider.Grant({ clientId, accountId: patient });
  grant.addOIDCScope(SCOPE);
  const grantId = await grant.save();
  const gty = 'authorization_code';
  const input = { client, accountId: patient, grantId, scope: SCOPE, gty, expiresWithSession: false } as const;
  return {
    patient,
    grantId,
    accessToken: await new provider.AccessToken(input).save(),
    refreshToken: await new provider.RefreshToken(input).save(),
    expiresIn: accessTokenSeconds,
  };
}

/** Whose records a bearer token opens, if it is good. */
function patientOf(provider: Provider): (token: string) => Promise<string | null> {
  return async (token) => {
    const found = await provider.AccessToken.find(token);
    if (found?.isValid !== true) return null;
    return (await provider.Grant.find(found.grantId)) === undefined ? null : found.accountId;
  };
}
