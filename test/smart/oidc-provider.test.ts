import { exportJWK, generateKeyPair, type JWK } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSources } from '../../src/adapters/upstream/sources.ts';
import { sliceBundle } from '../../src/core/bundle.ts';
import type { Source, Sources } from '../../src/core/ports/upstream.ts';
import { Secret } from '../../src/core/secret.ts';
import { judgeTokenReply, type TokenGrant, type TokenReply } from '../../src/core/token-outcome.ts';
import { type Consent, type SmartAuthority, startSmartAuthority } from '../support/oidc-provider.ts';
import { wholePage } from '../support/whole-page.ts';
import { clockAt, smartConfigOf, spend } from '../upstream/raw-server.ts';

const METHODS = ['basic', 'basic-odd', 'post', 'rs384', 'es384', 'public'] as const;
type Method = (typeof METHODS)[number];
const ODD = { id: 'app:1 %41+b', secret: 's:e c%r+e=t&~*-of-32-characters-and-more' };
const { signal } = spend;

let authority: SmartAuthority;
let stable: SmartAuthority;
let sources: Sources;

beforeAll(async () => {
  const keys = { rs384: await keyPair('RS384'), es384: await keyPair('ES384') };
  const asymmetric = (id: 'rs384' | 'es384', algorithm: 'RS384' | 'ES384') => ({
    client: {
      client_id: id,
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: algorithm,
      jwks: { keys: [keys[id].publicKey] },
    },
    auth: { method: 'private_key_jwt', algorithm, privateKey: keys[id].privateKey },
  });
  const secret = 'a-secret-of-32-characters-and-more';
  const registrations = {
    basic: {
      client: { client_id: 'basic', client_secret: secret, token_endpoint_auth_method: 'client_secret_basic' },
      auth: { method: 'client_secret_basic', clientSecret: secret },
    },
    'basic-odd': {
      client: { client_id: ODD.id, client_secret: ODD.secret, token_endpoint_auth_method: 'client_secret_basic' },
      auth: { method: 'client_secret_basic', clientSecret: ODD.secret },
    },
    post: {
      client: { client_id: 'post', client_secret: secret, token_endpoint_auth_method: 'client_secret_post' },
      auth: { method: 'client_secret_post', clientSecret: secret },
    },
    rs384: asymmetric('rs384', 'RS384'),
    es384: asymmetric('es384', 'ES384'),
    public: { client: { client_id: 'public', token_endpoint_auth_method: 'none' }, auth: { method: 'none' } },
  } satisfies Record<Method, object>;
  const clients = Object.values(registrations).map(({ client }) => client);
  authority = await startSmartAuthority({ clients });
  stable = await startSmartAuthority({ clients, rotates: false });
  const { fhirBaseUrl } = authority;
  const settings = Object.entries(registrations).map(
    ([name, { client, auth }]) => [name, smartConfigOf({ fhirBaseUrl, clientId: client.client_id, auth })] as const,
  );
  const basicAt = (base: string, clientSecret: string) =>
    smartConfigOf({ fhirBaseUrl: base, clientId: 'basic', auth: { method: 'client_secret_basic', clientSecret } });
  sources = createSources({
    config: {
      ...Object.fromEntries(settings),
      stable: basicAt(stable.fhirBaseUrl, secret),
      'wrong-secret': basicAt(fhirBaseUrl, 'another-secret-of-32-characters-or-so'),
      'raw-odd': smartConfigOf({
        fhirBaseUrl,
        clientId: ODD.id,
        auth: { method: 'client_secret_basic', clientSecret: ODD.secret, encoding: 'raw' },
      }),
    },
    clock: clockAt(() => Date.now()),
  });
});

afterAll(async () => {
  await sources.close();
  await Promise.all([authority.close(), stable.close()]);
});

async function keyPair(algorithm: string): Promise<{ readonly privateKey: JWK; readonly publicKey: JWK }> {
  const pair = await generateKeyPair(algorithm, { extractable: true });
  const kid = `key-${algorithm}`;
  return {
    privateKey: { ...(await exportJWK(pair.privateKey)), kid },
    publicKey: { ...(await exportJWK(pair.publicKey)), kid, use: 'sig', alg: algorithm },
  };
}

function sourceOf(name: string): Source {
  const source = sources.get(name);
  if (source === undefined) throw new Error(`no source ${name}`);
  return source;
}

function consentFor(method: Method): Promise<Consent> {
  return authority.mint({ clientId: method === 'basic-odd' ? ODD.id : method });
}

const refresh = (source: Source, token: string): Promise<TokenReply> =>
  source.refresh({ refreshToken: new Secret(token), ...spend });

function grantOf(reply: TokenReply): TokenGrant {
  if (reply.kind !== 'reply' || reply.grant === null) throw new Error(`no grant: ${JSON.stringify(reply)}`);
  return reply.grant;
}

const refreshTokenOf = ({ refreshToken }: TokenGrant): string => refreshToken?.reveal() ?? '';

function pageAs(source: Source, { patient, token }: { readonly patient: string; readonly token: string }) {
  const url = `${source.fhirBaseUrl}/Patient?${source.patientQuery.replace('$PATIENT_ID', patient)}`;
  return wholePage(source, { url, accessToken: new Secret(token), signal });
}

describe.each(METHODS)('a SMART source against an authorization server by others, as %s', (method) => {
  test('refreshes again and again, and each new access token opens the records', async () => {
    const source = sourceOf(method);
    const consent = await consentFor(method);
    const used = new Set([consent.refreshToken]);
    let token = consent.refreshToken;
    for (let turn = 1; turn <= 3; turn += 1) {
      const grant = grantOf(await refresh(source, token));
      expect(grant).toMatchObject({ accessLifetimeMs: 3_600_000, patient: consent.patient });
      token = refreshTokenOf(grant);
      expect([token.length > 0, used.has(token)]).toEqual([true, false]);
      used.add(token);
      const page = await pageAs(source, { patient: consent.patient, token: grant.accessToken.reveal() });
      const bundle = page.kind === 'page' ? sliceBundle(page.bytes) : page;
      expect(bundle.kind === 'bundle' ? bundle.slices.map(({ id }) => id) : bundle).toEqual([consent.patient]);
    }
  });

  test('is told invalid_grant for a token it has spent, and control: that kills its whole family', async () => {
    const source = sourceOf(method);
    const { refreshToken } = await consentFor(method);
    const next = grantOf(await refresh(source, refreshToken));
    const again = await refresh(source, refreshToken);
    expect(again).toMatchObject({ kind: 'reply', status: 400, oauthCode: 'invalid_grant', grant: null });
    expect(judgeTokenReply(again)).toEqual({ kind: 'refused' });
    // Why a refresh token is sent once: the reuse costs the newer one, which was good, and its access token.
    expect(judgeTokenReply(await refresh(source, refreshTokenOf(next)))).toEqual({ kind: 'refused' });
    const token = next.accessToken.reveal();
    expect(await pageAs(source, { patient: 'any', token })).toEqual({ kind: 'token_rejected' });
  });

  test('introspects both tokens, and learns when one is spent', async () => {
    const source = sourceOf(method);
    const consent = await consentFor(method);
    const introspect = (token: string, of: 'access_token' | 'refresh_token') =>
      source.introspect({ token: new Secret(token), of, signal });
    for (const [token, of, seconds] of [
      [consent.accessToken, 'access_token', 3_600],
      [consent.refreshToken, 'refresh_token', 90 * 86_400],
    ] as const) {
      const reply = await introspect(token, of);
      expect(reply).toMatchObject({ kind: 'active' });
      const leftMs = reply.kind === 'active' ? (reply.expiresAt ?? 0) - Date.now() : 0;
      expect(Math.abs(leftMs - seconds * 1_000)).toBeLessThan(60_000);
    }
    grantOf(await refresh(source, consent.refreshToken));
    expect(await introspect(consent.refreshToken, 'refresh_token')).toEqual({ kind: 'inactive' });
    expect(await introspect('never-issued', 'access_token')).toEqual({ kind: 'inactive' });
  });

  test('revokes both by the refresh token; once more, and an unknown one, count as revoked', async () => {
    const source = sourceOf(method);
    const consent = await consentFor(method);
    const refreshToken = new Secret(consent.refreshToken);
    const revoke = () => source.revoke({ accessToken: new Secret(consent.accessToken), refreshToken, signal });
    expect(await revoke()).toBe('revoked');
    expect(judgeTokenReply(await refresh(source, consent.refreshToken))).toEqual({ kind: 'refused' });
    const page = await pageAs(source, { patient: consent.patient, token: consent.accessToken });
    expect(page).toEqual({ kind: 'token_rejected' });
    expect(await revoke()).toBe('revoked');
    const unknown = { accessToken: new Secret('never-issued'), refreshToken: null, signal };
    expect(await source.revoke(unknown)).toBe('revoked');
  });
});

test('a patient who takes the consent back is seen as refused, inactive and rejected', async () => {
  const source = sourceOf('basic');
  const consent = await consentFor('basic');
  await authority.withdraw(consent);
  expect(judgeTokenReply(await refresh(source, consent.refreshToken))).toEqual({ kind: 'refused' });
  const token = new Secret(consent.accessToken);
  expect(await source.introspect({ token, of: 'access_token', signal })).toEqual({ kind: 'inactive' });
  expect(await pageAs(source, { patient: consent.patient, token: token.reveal() })).toEqual({ kind: 'token_rejected' });
});

test.each(['wrong-secret', 'raw-odd'])('control: as %s the server refuses us, and spends no token', async (name) => {
  const consent = await consentFor(name === 'raw-odd' ? 'basic-odd' : 'basic');
  const reply = await refresh(sourceOf(name), consent.refreshToken);
  expect(reply).toMatchObject({ kind: 'reply', grant: null, oauthCode: expect.stringMatching(/^invalid_/) });
  const right = sourceOf(name === 'raw-odd' ? 'basic-odd' : 'basic');
  expect(judgeTokenReply(await refresh(right, consent.refreshToken)).kind).toBe('granted');
});

test('a server that does not rotate gives the same token again, and takes it again', async () => {
  const source = sourceOf('stable');
  const { refreshToken } = await stable.mint({ clientId: 'basic' });
  for (let turn = 0; turn < 3; turn += 1) {
    expect(refreshTokenOf(grantOf(await refresh(source, refreshToken)))).toBe(refreshToken);
  }
});

test('its discovery document is asked for once per source, however often it is used', () => {
  const document = authority.asked('GET /fhir/.well-known/smart-configuration');
  expect(document).toBeLessThanOrEqual(sources.names().length);
  expect(authority.asked('POST /token')).toBeGreaterThan(document);
});
