import { describe, expect, test } from 'vitest';
import { createFlexpaSource } from '../../src/adapters/upstream/flexpa.ts';
import { sliceBundle } from '../../src/core/bundle.ts';
import type { Source } from '../../src/core/ports/upstream.ts';
import { Secret } from '../../src/core/secret.ts';
import type { TokenGrant, TokenReply } from '../../src/core/token-outcome.ts';
import { DAY_MS, newLink, type Start, setKnobs, start } from '../sandbox/support.ts';
import { wholePage } from '../support/whole-page.ts';
import { clockAt, exchange, flexpaConfigOf, openHttps, spend, textOf } from './raw-server.ts';

const signal = new AbortController().signal;

function sourceOf(sandbox: Start, change: object = {}): Source {
  const config = flexpaConfigOf({
    baseUrl: sandbox.url,
    publishableKey: 'pk_test_sandbox',
    secretKey: 'sk_test_sandbox',
    ...change,
  });
  return createFlexpaSource({
    name: 'flexpa',
    config,
    http: openHttps(),
    clock: clockAt(sandbox.now),
  });
}

function grantOf(reply: TokenReply): TokenGrant {
  if (reply.kind !== 'reply' || reply.grant === null) throw new Error(`no grant: ${JSON.stringify(reply)}`);
  return reply.grant;
}

async function exchanged(sandbox: Start, source: Source, link: Record<string, unknown> = {}) {
  const { publicToken } = await newLink(sandbox.url, link);
  const grant = grantOf(await exchange(source, new Secret(publicToken)));
  return { grant, publicToken, patientId: (grant.patient ?? '').replace('Patient/', '') };
}

describe('a flexpa source and the sandbox', () => {
  test('exchange a public token for a pair, once', async () => {
    const sandbox = await start();
    const source = sourceOf(sandbox);
    const { grant, publicToken } = await exchanged(sandbox, source);
    expect(grant).toMatchObject({
      accessLifetimeMs: DAY_MS,
      refreshEnd: { kind: 'after', lifetimeMs: 90 * DAY_MS },
      patient: expect.stringMatching(/^Patient\//),
      endpoint: { name: 'meadowlark-health-plan', refreshable: true },
      authorizationEndsInMs: null,
    });
    expect(grant.refreshToken).not.toBeNull();
    const again = await exchange(source, new Secret(publicToken));
    expect(again).toMatchObject({ kind: 'reply', status: 400, grant: null });
  });

  test('an endpoint that cannot refresh gives no refresh token and says so', async () => {
    const sandbox = await start();
    const { grant } = await exchanged(sandbox, sourceOf(sandbox), { endpointId: 'old-harbor-insurance' });
    expect(grant).toMatchObject({
      refreshToken: null,
      refreshEnd: { kind: 'unknown' },
      endpoint: { refreshable: false },
    });
  });

  test('refresh for a new pair; the old token is then invalid_grant', async () => {
    const sandbox = await start();
    const source = sourceOf(sandbox);
    const { grant } = await exchanged(sandbox, source);
    const refreshToken = grant.refreshToken ?? new Secret('');
    const next = grantOf(await source.refresh({ refreshToken, ...spend }));
    expect(next.accessToken.reveal()).not.toBe(grant.accessToken.reveal());
    expect(next.refreshToken?.reveal()).not.toBe(refreshToken.reveal());
    const again = await source.refresh({ refreshToken, ...spend });
    expect(again).toMatchObject({ kind: 'reply', status: 400, oauthCode: 'invalid_grant', grant: null });
  });

  test('the standard shape at the other token URL is understood too', async () => {
    const sandbox = await start({
      knobs: { tokenShape: 'v2', refreshExpiresIn: 'null', refreshReplyHasRefreshToken: false },
    });
    const source = sourceOf(sandbox, { tokenUrl: `${sandbox.url}/oauth/token` });
    const { grant } = await exchanged(sandbox, source);
    expect(grant).toMatchObject({ patient: null, endpoint: null, refreshEnd: { kind: 'unknown' } });
    const next = grantOf(await source.refresh({ refreshToken: grant.refreshToken ?? new Secret(''), ...spend }));
    expect(next.refreshToken).toBeNull();
  });

  test('keys that the source does not know are refused as invalid_client', async () => {
    const sandbox = await start();
    const { grant } = await exchanged(sandbox, sourceOf(sandbox));
    const source = sourceOf(sandbox, { secretKey: 'sk_test_other' });
    const reply = await source.refresh({ refreshToken: grant.refreshToken ?? new Secret(''), ...spend });
    expect(reply).toMatchObject({ kind: 'reply', status: 401, oauthCode: 'invalid_client' });
  });

  test.each([
    ['429', { status: 429 }],
    ['500', { status: 500 }],
    ['html', { grant: null, oauthCode: null }],
    ['not-json', { grant: null, oauthCode: null }],
  ] as const)('a token endpoint that answers %s grants nothing', async (tokenOutage, wanted) => {
    const sandbox = await start();
    const source = sourceOf(sandbox);
    const { grant } = await exchanged(sandbox, source);
    await setKnobs(sandbox.url, { global: { tokenOutage } });
    const reply = await source.refresh({ refreshToken: grant.refreshToken ?? new Secret(''), ...spend });
    expect(reply).toMatchObject({ kind: 'reply', ...wanted });
  });

  test('a reply that is lost is no reply', async () => {
    const sandbox = await start();
    const source = sourceOf(sandbox);
    const { grant } = await exchanged(sandbox, source);
    await setKnobs(sandbox.url, { global: { lostReplies: 1 } });
    const reply = await source.refresh({ refreshToken: grant.refreshToken ?? new Secret(''), ...spend });
    expect(reply).toEqual({ kind: 'no_reply', reason: 'connection', sent: true });
  });

  test.each(['401', '200'] as const)(
    'introspect says active, then inactive once expired (told by %s)',
    async (expiredIntrospect) => {
      const sandbox = await start({ knobs: { expiredIntrospect } });
      const source = sourceOf(sandbox);
      const { grant } = await exchanged(sandbox, source);
      const introspect = () => source.introspect({ token: grant.accessToken, of: 'access_token', signal });
      expect(await introspect()).toEqual({ kind: 'active', expiresAt: sandbox.now() + DAY_MS });
      sandbox.advance(DAY_MS);
      expect(await introspect()).toEqual({ kind: 'inactive' });
    },
  );

  test('revoke ends the access token, its page and its introspection', async () => {
    const sandbox = await start();
    const source = sourceOf(sandbox);
    const { grant, patientId } = await exchanged(sandbox, source);
    const { accessToken } = grant;
    expect(await source.revoke({ accessToken, refreshToken: null, signal })).toBe('revoked');
    expect(await source.introspect({ token: accessToken, of: 'access_token', signal })).toEqual({ kind: 'inactive' });
    const url = `${source.fhirBaseUrl}/Patient/${patientId}/$everything`;
    expect(await wholePage(source, { url, accessToken, signal })).toEqual({ kind: 'token_rejected' });
    expect(await source.revoke({ accessToken, refreshToken: null, signal })).toBe('unconfirmed');
  });

  test.each([false, true])('$everything is a page whose resources can be cut out (gzip: %s)', async (gzip) => {
    const sandbox = await start({ knobs: { gzip } });
    const source = sourceOf(sandbox);
    const { grant, patientId } = await exchanged(sandbox, source);
    const url = `${source.fhirBaseUrl}/Patient/${patientId}/$everything`;
    const page = await wholePage(source, { url, accessToken: grant.accessToken, signal });
    if (page.kind !== 'page') throw new Error(JSON.stringify(page));
    const bundle = sliceBundle(page.bytes);
    if (bundle.kind !== 'bundle') throw new Error(bundle.kind);
    expect(bundle.slices).toHaveLength(24);
    expect(bundle.slices.map(({ resourceType }) => resourceType)).toContain('Coverage');
    expect(textOf(page.bytes)).toContain(patientId);
  });

  test('the first sync and a spent quota are told apart, with their times', async () => {
    const sandbox = await start({ knobs: { initialSyncMs: 30_000, throttleRequests: 1 } });
    const source = sourceOf(sandbox);
    const { grant, patientId } = await exchanged(sandbox, source);
    const url = `${source.fhirBaseUrl}/Patient/${patientId}`;
    const fetched = () => wholePage(source, { url, accessToken: grant.accessToken, signal });
    expect(await fetched()).toEqual({ kind: 'syncing', retryAfterMs: 3_000 });
    sandbox.advance(120_000);
    expect(await fetched()).toMatchObject({ kind: 'page' });
    expect(await fetched()).toMatchObject({ kind: 'throttled', retryAfterMs: expect.any(Number) });
  });

  test.each([
    ['status-500', false, { kind: 'unavailable', reason: 'server_error' }],
    ['html', false, { kind: 'unavailable', reason: 'server_error' }],
    ['reset', false, { kind: 'unavailable', reason: 'connection' }],
    ['cut', true, { kind: 'unavailable', reason: 'cut_short' }],
  ] as const)('a page that fails by %s (gzip: %s) is no page', async (pageFaultKind, gzip, wanted) => {
    const sandbox = await start({ knobs: { pageFaultOnRequest: 1, pageFaultKind, gzip } });
    const source = sourceOf(sandbox);
    const { grant, patientId } = await exchanged(sandbox, source);
    const url = `${source.fhirBaseUrl}/Patient/${patientId}/$everything`;
    expect(await wholePage(source, { url, accessToken: grant.accessToken, signal })).toEqual(wanted);
  });

  test('a plain page that was cut and then properly ended is found by its content alone', async () => {
    const sandbox = await start({ knobs: { pageFaultOnRequest: 1, pageFaultKind: 'cut' } });
    const source = sourceOf(sandbox);
    const { grant, patientId } = await exchanged(sandbox, source);
    const url = `${source.fhirBaseUrl}/Patient/${patientId}/$everything`;
    const page = await wholePage(source, { url, accessToken: grant.accessToken, signal });
    expect(page.kind === 'page' ? sliceBundle(page.bytes) : page).toEqual({ kind: 'refused', reason: 'not_json' });
  });
});
