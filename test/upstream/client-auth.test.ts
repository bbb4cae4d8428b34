import { createLocalJWKSet, exportJWK, generateKeyPair, type JWK, jwtVerify } from 'jose';
import * as oauth from 'oauth4webapi';
import { beforeAll, describe, expect, test } from 'vitest';
import { LIMITS } from '../../src/core/limits.ts';
import type { Source } from '../../src/core/ports/upstream.ts';
import { Secret } from '../../src/core/secret.ts';
import { type Answer, answering, spend, whole } from './raw-server.ts';
import { parseRequest, smartAt, smartServer } from './smart-server.ts';

const REFRESH = new Secret('canary-refresh');
const { signal } = spend;
const refresh = (source: Source) => source.refresh({ refreshToken: REFRESH, ...spend });
const GRANT = whole(200, { 'content-type': 'application/json' }, '{"access_token":"a2"}');
const REFUSAL = whole(401, { 'content-type': 'application/json' }, '{"error":"invalid_client"}');
const refused = { kind: 'reply', status: 401, oauthCode: 'invalid_client' };
const granted = { kind: 'reply', status: 200 };

/** A token endpoint that decodes Basic credentials by the letter of RFC 6749, 2.3.1, or not at all, as many do. */
const knowing =
  ({ id, secret, decodes }: { id: string; secret: string; decodes: boolean }): Answer =>
  (socket, request) => {
    const header = parseRequest(request).headers.get('authorization') ?? '';
    const text = Buffer.from(header.replace(/^Basic /, ''), 'base64').toString('utf8');
    const colon = text.indexOf(':');
    const decode = (part: string) => (decodes ? decodeURIComponent(part.replaceAll('+', ' ')) : part);
    const known = decode(text.slice(0, colon)) === id && decode(text.slice(colon + 1)) === secret;
    socket.write(known ? GRANT : REFUSAL);
  };

describe('client_secret_basic', () => {
  const odd = { id: 'app:1 %41+b/ü', secret: 's:e c%r+e=t&ß~*' };
  const usual = { id: '3f0c-41d2_app.v1', secret: 'Zx9-_.kQ2' };

  async function ask(credentials: { id: string; secret: string }, decodes: boolean, encoding?: string) {
    const server = await smartServer(knowing({ ...credentials, decodes }));
    const auth = { method: 'client_secret_basic', clientSecret: credentials.secret, encoding };
    return refresh(smartAt(server.fhirBaseUrl, { clientId: credentials.id, auth }));
  }

  test('is form-encoded, unless told otherwise, as servers to the letter of the standard want it', async () => {
    expect(await ask(odd, true)).toMatchObject(granted);
    expect(await ask(odd, true, 'form')).toMatchObject(granted);
  });

  test('is raw where that is asked for, as servers that decode nothing want it', async () => {
    const plain = { id: 'app 1%', secret: 's:e c%r+e=t' };
    expect(await ask(plain, false, 'raw')).toMatchObject(granted);
  });

  test('control: each of them refuses the other', async () => {
    expect(await ask({ id: 'app', secret: 'c%41+' }, true, 'raw')).toMatchObject(refused);
    expect(await ask({ id: 'app', secret: 'c%41+' }, false, 'form')).toMatchObject(refused);
  });

  test('with ids and secrets as they usually are, both encodings are the same for both sorts of server', async () => {
    for (const decodes of [true, false]) {
      expect(await ask(usual, decodes, 'form')).toMatchObject(granted);
      expect(await ask(usual, decodes, 'raw')).toMatchObject(granted);
    }
  });

  test("control: oauth4webapi's own form-encoding escapes a dash, which a server that decodes nothing does not know", async () => {
    const headers = new Headers();
    await oauth.ClientSecretBasic(usual.secret)(
      { issuer: 'x' },
      { client_id: usual.id },
      new URLSearchParams(),
      headers,
    );
    const text = Buffer.from((headers.get('authorization') ?? '').slice('Basic '.length), 'base64').toString();
    expect(text.startsWith('3f0c%2D41d2%5Fapp%2Ev1:')).toBe(true);
  });

  test('goes to every endpoint, and neither id nor secret is in the form', async () => {
    const server = await smartServer(answering(200, {}, '{}'));
    const auth = { method: 'client_secret_basic', clientSecret: 'canary-secret' };
    const source = smartAt(server.fhirBaseUrl, { auth });
    await refresh(source);
    await source.introspect({ token: REFRESH, of: 'refresh_token', signal });
    await source.revoke({ accessToken: null, refreshToken: REFRESH, signal });
    const calls = server.calls();
    expect(new Set(calls.map(({ headers }) => headers.get('authorization')))).toEqual(
      new Set([`Basic ${Buffer.from('client-1:canary-secret').toString('base64')}`]),
    );
    expect(calls.map(({ form }) => [form['client_id'], form['client_secret']])).toEqual(
      Array(3).fill([undefined, undefined]),
    );
  });
});

test('client_secret_post: id and secret in the form, escaped, and no header', async () => {
  const server = await smartServer(answering(200, {}, '{}'));
  const auth = { method: 'client_secret_post', clientSecret: 's:e c%r+e=t&' };
  await refresh(smartAt(server.fhirBaseUrl, { clientId: 'app 1', auth }));
  const [call] = server.calls();
  expect(call?.form).toMatchObject({ client_id: 'app 1', client_secret: 's:e c%r+e=t&' });
  expect(call?.headers.has('authorization')).toBe(false);
});

test('none: the id alone', async () => {
  const server = await smartServer(answering(200, {}, '{}'));
  await refresh(smartAt(server.fhirBaseUrl, { auth: { method: 'none' } }));
  expect(server.calls()[0]?.form).toEqual({
    grant_type: 'refresh_token',
    refresh_token: REFRESH.reveal(),
    client_id: 'client-1',
  });
});

describe.each(['RS384', 'ES384'] as const)('private_key_jwt by %s', (algorithm) => {
  let privateKey: JWK;
  let jwks: { keys: JWK[] };
  beforeAll(async () => {
    const pair = await generateKeyPair(algorithm, { extractable: true });
    privateKey = { ...(await exportJWK(pair.privateKey)), kid: 'key-1', alg: algorithm };
    jwks = { keys: [{ ...(await exportJWK(pair.publicKey)), kid: 'key-1', alg: algorithm, use: 'sig' }] };
  });

  const authOf = (change: object = {}) => ({ method: 'private_key_jwt', privateKey, algorithm, ...change });

  test('is an assertion that a server verifies with the registered key, for the token URL, for minutes', async () => {
    const server = await smartServer(answering(200, {}, '{}'));
    await refresh(smartAt(server.fhirBaseUrl, { auth: authOf() }));
    const [call] = server.calls();
    const { client_assertion: assertion = '', ...form } = call?.form ?? {};
    expect(form).toMatchObject({
      grant_type: 'refresh_token',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    });
    expect(call?.headers.has('authorization')).toBe(false);
    const { payload, protectedHeader } = await jwtVerify(assertion, createLocalJWKSet(jwks), {
      audience: `${server.url}/token`,
      issuer: 'client-1',
      subject: 'client-1',
      algorithms: [algorithm],
    });
    expect(protectedHeader).toEqual({ alg: algorithm, kid: 'key-1', typ: 'JWT' });
    const { exp = 0, iat = 0, jti = '', nbf } = payload;
    expect((exp - iat) * 1_000).toBe(LIMITS.assertionLifetimeMs);
    expect(exp - iat).toBeLessThanOrEqual(300);
    expect([jti.length > 20, nbf]).toEqual([true, undefined]);
    const signature = Buffer.from(assertion.split('.')[2] ?? '', 'base64url');
    // r and s of 48 bytes each, not the longer DER that OpenSSL makes by itself.
    expect(signature.length).toBe(algorithm === 'ES384' ? 96 : 256);
  });

  test('is another assertion on every attempt and at every endpoint, always for the token URL', async () => {
    const server = await smartServer((socket) => void socket.destroy());
    const source = smartAt(server.fhirBaseUrl, { auth: authOf({ jwksUrl: 'https://app.test/jwks', keyId: 'other' }) });
    for (let attempt = 0; attempt < 3; attempt += 1) await refresh(source);
    await source.introspect({ token: REFRESH, of: 'refresh_token', signal });
    await source.revoke({ accessToken: null, refreshToken: REFRESH, signal });
    const parts = server.calls().map(({ form }) => (form['client_assertion'] ?? '').split('.'));
    const [heads, claims] = [0, 1].map((part) => parts.map((text) => decoded(text[part])));
    expect(claims?.map(({ aud }) => aud)).toEqual(Array(5).fill(`${server.url}/token`));
    expect(new Set(claims?.map(({ jti }) => jti)).size).toBe(5);
    expect(heads?.[0]).toEqual({ alg: algorithm, kid: 'other', typ: 'JWT', jku: 'https://app.test/jwks' });
  });
});

function decoded(part: string | undefined): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(Buffer.from(part ?? '', 'base64url').toString());
  return { ...(typeof value === 'object' ? value : null) };
}
