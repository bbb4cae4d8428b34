import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { Source } from '../../src/core/ports/upstream.ts';
import { Secret } from '../../src/core/secret.ts';
import { judgeTokenReply } from '../../src/core/token-outcome.ts';
import { wholePage } from '../support/whole-page.ts';
import { type Answer, answering, rawServer, spend, whole } from './raw-server.ts';
import { NOW, type ParsedRequest, smartAt, smartServer } from './smart-server.ts';

const REFRESH = new Secret('canary-refresh+9c/1d=&x %');
const ACCESS = new Secret('canary-access-7f3a');
const { signal } = spend;
const JSON_HEADERS = { 'content-type': 'application/json' };
const pair = {
  access_token: 'a2',
  refresh_token: 'r2',
  token_type: 'Bearer',
  expires_in: 3_600,
  scope: 'patient/*.rs',
};
const refresh = (source: Source) => source.refresh({ refreshToken: REFRESH, ...spend });

describe('the wire, as the standards have it', () => {
  async function sent(call: (source: Source) => Promise<unknown>): Promise<ParsedRequest> {
    const server = await smartServer(answering(200, JSON_HEADERS, '{}'));
    await call(smartAt(server.fhirBaseUrl));
    const [request, ...more] = server.calls();
    if (request === undefined || more.length > 0) throw new Error(`${server.calls().length} requests`);
    return request;
  }

  test('refresh: a form of the grant, the token escaped, the client, its length, and nothing else', async () => {
    const { line, headers, body, form } = await sent(refresh);
    expect(line).toBe('POST /token HTTP/1.1');
    expect(form).toEqual({ grant_type: 'refresh_token', refresh_token: REFRESH.reveal(), client_id: 'client-1' });
    expect(headers.get('content-type')).toBe('application/x-www-form-urlencoded');
    expect(headers.get('content-length')).toBe(String(body.length));
    expect(headers.get('accept')).toBe('application/json');
    expect(headers.get('user-agent')).toBe('perennial');
    expect(headers.has('transfer-encoding') || headers.has('authorization')).toBe(false);
  });

  test.each(['access_token', 'refresh_token'] as const)('introspect: the %s with its kind as a hint', async (of) => {
    const { line, form } = await sent((source) => source.introspect({ token: ACCESS, of, signal }));
    expect(line).toBe('POST /introspect HTTP/1.1');
    expect(form).toEqual({ token: ACCESS.reveal(), token_type_hint: of, client_id: 'client-1' });
  });

  test('revoke: the refresh token where there is one', async () => {
    const { line, form } = await sent((source) =>
      source.revoke({ accessToken: ACCESS, refreshToken: REFRESH, signal }),
    );
    expect(line).toBe('POST /revoke HTTP/1.1');
    expect(form).toEqual({ token: REFRESH.reveal(), token_type_hint: 'refresh_token', client_id: 'client-1' });
  });

  test('revoke: the access token where there is no other', async () => {
    const { form } = await sent((source) => source.revoke({ accessToken: ACCESS, refreshToken: null, signal }));
    expect(form).toMatchObject({ token: ACCESS.reveal(), token_type_hint: 'access_token' });
  });

  test('a page: as any other source asks for it', async () => {
    const server = await smartServer(answering(200, JSON_HEADERS, '{}'));
    const url = `${server.fhirBaseUrl}/Patient?_id=1`;
    const page = await wholePage(smartAt(server.fhirBaseUrl), { url, accessToken: ACCESS, signal });
    expect(page).toMatchObject({ kind: 'page' });
    expect(server.calls()[0]?.headers.get('authorization')).toBe(`Bearer ${ACCESS.reveal()}`);
    expect(server.discoveries()).toEqual([]);
  });

  test('there is no exchange, and the settings come through', () => {
    const source = smartAt('https://ehr.test/r4/', { assumedRefreshDays: 90, revokeOnPurge: false });
    expect(source).toMatchObject({
      exchange: null,
      fhirBaseUrl: 'https://ehr.test/r4',
      pullBy: 'search',
      searchQuery: 'patient=$PATIENT_ID&_count=100',
      patientQuery: '_id=$PATIENT_ID',
      revokeOnPurge: false,
      assumedRefreshLifetimeMs: 90 * 86_400_000,
    });
    expect(smartAt('https://ehr.test/r4').assumedRefreshLifetimeMs).toBeNull();
  });
});

describe('a refresh that is answered', () => {
  const answers: readonly [string, Answer, object, string][] = [
    ['by the letter', answering(200, JSON_HEADERS, JSON.stringify(pair)), { status: 200 }, 'granted'],
    ['without a token_type', answering(200, {}, '{"access_token":"a2","refresh_token":"r2"}'), {}, 'granted'],
    [
      'with a token_type in lower case',
      answering(200, {}, '{"access_token":"a2","token_type":"bearer"}'),
      {},
      'granted',
    ],
    ['with a token_type of another kind', answering(200, {}, '{"access_token":"a2","token_type":"mac"}'), {}, 'unsure'],
    ['as text/plain', answering(200, { 'content-type': 'text/plain' }, JSON.stringify(pair)), {}, 'granted'],
    ['with a fractional expires_in', answering(200, {}, '{"access_token":"a2","expires_in":16768.52}'), {}, 'granted'],
    ['200 with HTML', answering(200, { 'content-type': 'text/html' }, '<html>canary'), { grant: null }, 'unsure'],
    ['200 with {}', answering(200, JSON_HEADERS, '{}'), { grant: null }, 'unsure'],
    ...[400, 401, 403].map((status): [string, Answer, object, string] => [
      `${status} invalid_grant`,
      answering(status, JSON_HEADERS, '{"error":"invalid_grant","error_description":"canary"}'),
      { status, oauthCode: 'invalid_grant' },
      'refused',
    ]),
    [
      '400 invalid_grant as text/html',
      answering(400, { 'content-type': 'text/html' }, '{"error":"invalid_grant"}'),
      { oauthCode: 'invalid_grant' },
      'refused',
    ],
    [
      '400 invalid_request',
      answering(400, JSON_HEADERS, '{"error":"invalid_request"}'),
      { oauthCode: 'invalid_request' },
      'unclear',
    ],
    [
      '401 invalid_client with a challenge',
      answering(401, { ...JSON_HEADERS, 'www-authenticate': 'Basic realm="canary"' }, '{"error":"invalid_client"}'),
      { oauthCode: 'invalid_client' },
      'client_refused',
    ],
    ['429 without a time', answering(429, {}, ''), { status: 429, retryAfterMs: null }, 'throttled'],
    ['429 with one', answering(429, { 'retry-after': '7' }, ''), { retryAfterMs: 7_000 }, 'throttled'],
    ['500', answering(500, JSON_HEADERS, '{"error":"server_error"}'), { status: 500 }, 'outage'],
  ];

  test.each(answers)('%s', async (_, answer, wanted, outcome) => {
    const server = await smartServer(answer);
    const reply = await refresh(smartAt(server.fhirBaseUrl));
    expect(reply).toMatchObject({ kind: 'reply', ...wanted });
    expect(judgeTokenReply(reply).kind).toBe(outcome);
    expect(JSON.stringify(reply) + inspect(reply, { depth: null, showHidden: true })).not.toContain('canary');
    expect(server.calls()).toHaveLength(1);
  });

  test("is read with SMART's bare patient id and Blue Button's end of the grant", async () => {
    const body = { ...pair, expires_in: 16_768.52, patient: '123', access_grant_expiration: '2027-08-01 00:00:00Z' };
    const server = await smartServer(answering(200, JSON_HEADERS, JSON.stringify(body)));
    expect(await refresh(smartAt(server.fhirBaseUrl))).toMatchObject({
      grant: {
        accessLifetimeMs: 16_768_520,
        refreshEnd: { kind: 'unknown' },
        accessGrantEndsAt: Date.UTC(2027, 7, 1),
        patient: '123',
        endpoint: null,
      },
    });
  });
});

describe('a refresh that is not answered', () => {
  test('a reply that is lost after the request arrived may have spent the token', async () => {
    const server = await smartServer((socket) => void socket.destroy());
    const reply = await refresh(smartAt(server.fhirBaseUrl));
    expect(reply).toEqual({ kind: 'no_reply', reason: 'connection', sent: true });
    expect(server.calls()).toHaveLength(1);
  });

  test('a refused connection has spent nothing', async () => {
    const server = await smartServer(answering(200, {}, ''), () => ({ token_endpoint: 'http://127.0.0.1:1/token' }));
    const reply = await refresh(smartAt(server.fhirBaseUrl));
    expect(reply).toEqual({ kind: 'no_reply', reason: 'connection', sent: false });
  });

  test('a token that may no longer be sent is asked about once, after discovery, and not sent', async () => {
    const server = await smartServer(answering(200, JSON_HEADERS, JSON.stringify(pair)));
    const discoveriesWhenAsked: number[] = [];
    const mayStillSend = () => {
      discoveriesWhenAsked.push(server.discoveries().length);
      return false;
    };
    const reply = await smartAt(server.fhirBaseUrl).refresh({ refreshToken: REFRESH, signal, mayStillSend });
    expect(reply).toEqual({ kind: 'no_reply', reason: 'withheld', sent: false });
    expect(discoveriesWhenAsked).toEqual([1]);
    expect(server.calls()).toEqual([]);
  });

  test('an empty token, which no request can carry, is not sent and not thrown', async () => {
    const server = await smartServer(answering(200, JSON_HEADERS, JSON.stringify(pair)));
    const reply = await smartAt(server.fhirBaseUrl).refresh({ refreshToken: new Secret(''), ...spend });
    expect(reply).toEqual({ kind: 'no_reply', reason: 'connection', sent: false });
    expect(server.calls()).toEqual([]);
  });

  test('one that was cancelled before is not sent', async () => {
    const server = await smartServer(answering(200, JSON_HEADERS, JSON.stringify(pair)));
    const stopped = { ...spend, signal: AbortSignal.abort() };
    const reply = await smartAt(server.fhirBaseUrl).refresh({ refreshToken: REFRESH, ...stopped });
    expect(reply).toEqual({ kind: 'no_reply', reason: 'cancelled', sent: false });
    expect(server.calls()).toEqual([]);
  });

  test.each([301, 302, 303, 307, 308])(
    'a redirect (%i) is not followed, and its target hears nothing',
    async (status) => {
      const target = await rawServer(answering(200, JSON_HEADERS, JSON.stringify(pair)));
      const server = await smartServer(answering(status, { location: `${target.url}/token` }, ''));
      const reply = await refresh(smartAt(server.fhirBaseUrl));
      expect(reply).toMatchObject({ kind: 'reply', status, grant: null });
      expect(judgeTokenReply(reply)).toEqual({ kind: 'unsure', reason: 'not_oauth' });
      expect(target.requests).toEqual([]);
    },
  );
});

describe('introspection', () => {
  test.each([
    ['active with an end', 200, { active: true, exp: NOW / 1_000 + 60 }, { kind: 'active', expiresAt: NOW + 60_000 }],
    ['active without one', 200, { active: true }, { kind: 'active', expiresAt: null }],
    ['active with an end that is none', 200, { active: true, exp: 'soon' }, { kind: 'active', expiresAt: null }],
    ['inactive', 200, { active: false }, { kind: 'inactive' }],
    ['no word of it', 200, { exp: NOW / 1_000 + 60 }, { kind: 'unknown' }],
    ['a refusal of us', 401, { error: 'invalid_client' }, { kind: 'unknown' }],
    ['a redirect', 302, { active: true }, { kind: 'unknown' }],
    ['an outage', 503, { active: false }, { kind: 'unknown' }],
  ])('%s', async (_, status, body, wanted) => {
    const server = await smartServer(answering(status, JSON_HEADERS, JSON.stringify(body)));
    const source = smartAt(server.fhirBaseUrl);
    expect(await source.introspect({ token: REFRESH, of: 'refresh_token', signal })).toEqual(wanted);
  });

  test('is unknown, and asks nobody, where the server has none', async () => {
    const server = await smartServer(answering(200, {}, '{"active":false}'), (url) => ({ token_endpoint: `${url}/t` }));
    const source = smartAt(server.fhirBaseUrl);
    expect(await source.introspect({ token: ACCESS, of: 'access_token', signal })).toEqual({ kind: 'unknown' });
    expect(server.calls()).toEqual([]);
  });
});

describe('revocation', () => {
  const both = { accessToken: ACCESS, refreshToken: REFRESH, signal };
  test.each([
    [200, '', 'revoked'],
    [204, '', 'revoked'],
    [302, '', 'unconfirmed'],
    [400, '{"error":"unsupported_token_type"}', 'unconfirmed'],
    [401, '{"error":"invalid_client"}', 'unconfirmed'],
    [503, '', 'unconfirmed'],
  ])('answered %i %s is %s', async (status, body, wanted) => {
    const server = await smartServer(answering(status, {}, body));
    expect(await smartAt(server.fhirBaseUrl).revoke(both)).toBe(wanted);
  });

  test('is unconfirmed, and asks nobody, without a token or without an endpoint', async () => {
    const server = await smartServer(answering(200, {}, ''), (url) => ({ token_endpoint: `${url}/t` }));
    const source = smartAt(server.fhirBaseUrl);
    expect(await source.revoke(both)).toBe('unconfirmed');
    expect(await source.revoke({ accessToken: null, refreshToken: null, signal })).toBe('unconfirmed');
    expect(server.calls()).toEqual([]);
  });
});

describe('whatever the server does', () => {
  const echo =
    (status: number): Answer =>
    (socket, request) => {
      const body = `${request} ${ACCESS.reveal()} ${REFRESH.reveal()} canary`;
      socket.write(whole(status, { 'x-echo': 'canary', 'www-authenticate': 'Bearer realm="canary"' }, body));
    };
  const malformed = JSON.stringify({ ...pair, access_token: 5, refresh_token: 'canary' });
  test.each<[string, Answer]>([
    ...[200, 301, 400, 401, 403, 404, 500].map((status): [string, Answer] => [`${status} with an echo`, echo(status)]),
    ['a grant that oauth4webapi would keep in an error', answering(200, JSON_HEADERS, malformed)],
    ['a reset', (socket) => void socket.resetAndDestroy()],
    ['bytes that are no HTTP', (socket) => void socket.end('canary\r\n\r\n')],
    ['a header that is too large', answering(200, { 'x-canary': 'c'.repeat(100_000) }, '')],
  ])('%s: no call rejects, and no reply holds a token, a secret or a text of theirs', async (_, answer) => {
    const server = await smartServer(answer);
    const auth = { method: 'client_secret_post', clientSecret: 'canary-secret' };
    const source = smartAt(server.fhirBaseUrl, { auth });
    const replies = [
      await refresh(source),
      await source.introspect({ token: ACCESS, of: 'access_token', signal }),
      await source.revoke({ accessToken: ACCESS, refreshToken: REFRESH, signal }),
    ];
    const shown = inspect([source, ...replies], { depth: null, showHidden: true }) + JSON.stringify(replies);
    expect(shown).not.toContain('canary');
  });
});
