import { inspect } from 'node:util';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { createFlexpaSource } from '../../src/adapters/upstream/flexpa.ts';
import { createSources } from '../../src/adapters/upstream/sources.ts';
import type { Source } from '../../src/core/ports/upstream.ts';
import { Secret } from '../../src/core/secret.ts';
import { wholePage } from '../support/whole-page.ts';
import {
  type Answer,
  answering,
  clockAt,
  exchange,
  flexpaConfigOf,
  openHttps,
  rawServer,
  spend,
  textOf,
} from './raw-server.ts';

const NOW = Date.UTC(2026, 6, 1);
const PUBLIC = new Secret('canary-public-4e2b');
const ACCESS = new Secret('canary-access-7f3a');
const REFRESH = new Secret('canary-refresh+9c/1d=&x');
const PATIENT = new Secret('Patient/canary-1');
const SECRET_KEY = 'sk_test_canary';
const signal = new AbortController().signal;
const JSON_HEADERS = { 'content-type': 'application/json' };

function sourceAt(baseUrl: string, change: object = {}): Source {
  const config = flexpaConfigOf({
    baseUrl,
    publishableKey: 'pk_test_1',
    secretKey: SECRET_KEY,
    ...change,
  });
  return createFlexpaSource({
    name: 'flexpa',
    config,
    http: openHttps(),
    clock: clockAt(() => NOW),
  });
}

const calls: readonly [string, (source: Source, url: string) => Promise<unknown>][] = [
  ['exchange', (source) => exchange(source, PUBLIC)],
  ['refresh', (source) => source.refresh({ refreshToken: REFRESH, ...spend })],
  ['introspect', (source) => source.introspect({ token: ACCESS, of: 'access_token', signal })],
  ['revoke', (source) => source.revoke({ accessToken: ACCESS, refreshToken: null, signal })],
  ['expunge', (source) => expunge(source)],
  [
    'streamPage',
    (source, url) => wholePage(source, { url: `${url}/fhir/Patient/1/$everything`, accessToken: ACCESS, signal }),
  ],
];

async function expunge(source: Source) {
  return source.expunge?.({ accessToken: ACCESS, patient: PATIENT, signal });
}

function parsed(request: string) {
  const [head = '', body = ''] = request.split('\r\n\r\n');
  const [line, ...rest] = head.split('\r\n');
  const headers = new Map(
    rest.map((text) => [text.split(': ')[0]?.toLowerCase() ?? '', text.slice(text.indexOf(': ') + 2)]),
  );
  return { line, headers, body };
}

describe('the wire, as the contract has it', () => {
  async function sent(call: (source: Source, url: string) => Promise<unknown>) {
    const { url, requests } = await rawServer(answering(200, JSON_HEADERS, '{}'));
    await call(sourceAt(`${url}/`), url);
    expect(requests).toHaveLength(1);
    return parsed(requests[0] ?? '');
  }

  test('exchange: the public token and the secret key in a JSON body, and no Authorization', async () => {
    const { line, headers, body } = await sent((source) => exchange(source, PUBLIC));
    expect(line).toBe('POST /link/exchange HTTP/1.1');
    expect(headers.get('content-type')).toBe('application/json');
    expect(headers.has('authorization')).toBe(false);
    expect(JSON.parse(body)).toEqual({ public_token: PUBLIC.reveal(), secret_key: SECRET_KEY });
  });

  test('expunge: a POST below the FHIR base that names the patient, with the access token and no key of ours', async () => {
    const { line, headers, body } = await sent((source) => expunge(source));
    expect(line).toBe('POST /fhir/Patient/canary-1/$expunge HTTP/1.1');
    expect(headers.get('authorization')).toBe(`Bearer ${ACCESS.reveal()}`);
    expect(body).toBe('');
  });

  test('where a source has it elsewhere, or not at all, its registration says so', async () => {
    const { url, requests } = await rawServer(answering(204, {}, ''));
    const moved = sourceAt(url, { expungePath: 'Patient/$PATIENT_ID', expungeMethod: 'DELETE' });
    expect(await expunge(moved)).toBe('expunged');
    expect(requests[0]).toMatch(/^DELETE \/fhir\/Patient\/canary-1 HTTP/);
    expect(sourceAt(url, { expungePath: null }).expunge).toBeNull();
  });

  test('refresh: a form with Basic authentication, and the token in it escaped', async () => {
    const { line, headers, body } = await sent((source) => source.refresh({ refreshToken: REFRESH, ...spend }));
    expect(line).toBe('POST /link/token HTTP/1.1');
    expect(headers.get('content-type')).toBe('application/x-www-form-urlencoded');
    expect(headers.get('authorization')).toBe(`Basic ${Buffer.from(`pk_test_1:${SECRET_KEY}`).toString('base64')}`);
    expect(body).toBe('grant_type=refresh_token&refresh_token=canary-refresh%2B9c%2F1d%3D%26x');
    expect([...new URLSearchParams(body)]).toEqual([
      ['grant_type', 'refresh_token'],
      ['refresh_token', REFRESH.reveal()],
    ]);
  });

  test('introspect: the token itself as bearer, and nothing else', async () => {
    const { line, headers, body } = await sent((source) =>
      source.introspect({ token: ACCESS, of: 'access_token', signal }),
    );
    expect([line, headers.get('authorization'), body]).toEqual([
      'GET /link/introspect HTTP/1.1',
      `Bearer ${ACCESS.reveal()}`,
      '',
    ]);
  });

  test('revoke: the token as bearer, the secret key in a JSON body', async () => {
    const { line, headers, body } = await sent((source) =>
      source.revoke({ accessToken: ACCESS, refreshToken: null, signal }),
    );
    expect([line, headers.get('authorization')]).toEqual(['POST /link/revoke HTTP/1.1', `Bearer ${ACCESS.reveal()}`]);
    expect(JSON.parse(body)).toEqual({ secret_key: SECRET_KEY });
  });

  test('a page: the token as bearer, FHIR asked for, compressed if it can be, the URL as it was judged', async () => {
    const path = '/fhir/Patient/1/$everything?_count=1000&cursor=a%2Fb';
    const { line, headers } = await sent((source, url) =>
      wholePage(source, { url: `${url}${path}`, accessToken: ACCESS, signal }),
    );
    expect(line).toBe(`GET ${path} HTTP/1.1`);
    expect(headers.get('authorization')).toBe(`Bearer ${ACCESS.reveal()}`);
    expect(headers.get('accept')).toBe('application/fhir+json');
    expect(headers.get('accept-encoding')).toBe('gzip, br, zstd');
  });

  test('every address can be configured, and a source says where its token may go', async () => {
    const { url, requests } = await rawServer(answering(200, JSON_HEADERS, '{}'));
    const source = sourceAt('https://unreachable.test', {
      exchangeUrl: `${url}/a`,
      tokenUrl: `${url}/oauth/token`,
      introspectUrl: `${url}/c`,
      revokeUrl: `${url}/d`,
      fhirBaseUrl: `${url}/r4`,
    });
    for (const [, call] of calls.slice(0, 4)) await call(source, url);
    expect(requests.map((request) => parsed(request).line?.split(' ')[1])).toEqual(['/a', '/oauth/token', '/c', '/d']);
    expect(source.fhirBaseUrl).toBe(`${url}/r4`);
    expect(sourceAt('https://api.test/').fhirBaseUrl).toBe('https://api.test/fhir');
  });
});

describe('introspection', () => {
  const at = (instant: number) => Math.floor(instant / 1_000);
  test.each([
    [
      'a token that lives',
      200,
      { exp: at(NOW + 60_000), state: 'EXCHANGED' },
      { kind: 'active', expiresAt: NOW + 60_000 },
    ],
    ['a token without an end', 200, { state: 'EXCHANGED' }, { kind: 'active', expiresAt: null }],
    [
      'a state we do not know',
      200,
      { state: 'CANARY', exp: at(NOW + 60_000) },
      { kind: 'active', expiresAt: NOW + 60_000 },
    ],
    ['an expired token, told with 200', 200, { exp: at(NOW), state: 'EXCHANGED' }, { kind: 'inactive' }],
    ['a revoked one, told with 200', 200, { state: 'REVOKED', exp: at(NOW + 60_000) }, { kind: 'inactive' }],
    ['one that was refreshed', 200, { state: 'REFRESHED', exp: at(NOW + 60_000) }, { kind: 'inactive' }],
    ['401', 401, { statusCode: 401 }, { kind: 'inactive' }],
    ['403', 403, {}, { kind: 'unknown' }],
    ['500', 500, {}, { kind: 'unknown' }],
    ['a redirect', 302, {}, { kind: 'unknown' }],
    ['an exp that is no number', 200, { exp: 'soon' }, { kind: 'unknown' }],
  ])('%s', async (_, status, body, wanted) => {
    const { url } = await rawServer(answering(status, JSON_HEADERS, JSON.stringify(body)));
    expect(await sourceAt(url).introspect({ token: ACCESS, of: 'access_token', signal })).toEqual(wanted);
  });

  test('html under 200, and no answer at all, tell nothing', async () => {
    const { url } = await rawServer(answering(200, {}, '<html>'));
    expect(await sourceAt(url).introspect({ token: ACCESS, of: 'access_token', signal })).toEqual({ kind: 'unknown' });
    expect(await sourceAt('http://127.0.0.1:1').introspect({ token: ACCESS, of: 'access_token', signal })).toEqual({
      kind: 'unknown',
    });
  });
});

test.each([
  [200, 'revoked'],
  [204, 'revoked'],
  [302, 'unconfirmed'],
  [401, 'unconfirmed'],
  [500, 'unconfirmed'],
])('a revocation answered %i is %s', async (status, wanted) => {
  const { url } = await rawServer(answering(status, {}, ''));
  expect(await sourceAt(url).revoke({ accessToken: ACCESS, refreshToken: null, signal })).toBe(wanted);
});

describe('whatever the upstream does', () => {
  /** A server that sends back all it was told: the worst that an error page can do. */
  const echo =
    (status: number): Answer =>
    (socket, request) => {
      const body = `${request} ${PUBLIC.reveal()} ${ACCESS.reveal()} ${REFRESH.reveal()} ${SECRET_KEY}`;
      socket.write(
        `HTTP/1.1 ${status} canary\r\nX-Echo: canary\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
      );
    };
  const cutGzip = gzipSync('{"canary":1}'.repeat(100)).subarray(0, 30);
  const answers: readonly [string, Answer][] = [
    ...[301, 400, 401, 403, 404, 422, 429, 500, 502].map((status): [string, Answer] => [
      `${status} with an echo`,
      echo(status),
    ]),
    ['a cut gzip', answering(200, { 'content-encoding': 'gzip' }, cutGzip)],
    ['a reset', (socket) => socket.resetAndDestroy()],
    ['bytes that are no HTTP', (socket) => void socket.end('canary\r\n\r\n')],
    ['200 with an error in it', answering(200, JSON_HEADERS, '{"error":"invalid_grant","canary":1}')],
    ['a header that is too large', answering(200, { 'x-canary': 'c'.repeat(100_000) }, '')],
  ];

  test.each(answers)(
    '%s: no call rejects, and no reply holds a token, a key or a text of theirs',
    async (_, answer) => {
      const { url } = await rawServer(answer);
      const source = sourceAt(url);
      for (const [, call] of calls) {
        const reply = await call(source, url);
        expect(JSON.stringify(reply)).not.toContain('canary');
        expect(inspect(reply, { depth: null, showHidden: true })).not.toContain('canary');
      }
    },
  );

  test.each(['line\r\nbreak-canary', 'nul\u0000canary', 'snow\u2603canary'])(
    'a token that no header can carry (%j) is never sent, never thrown, never shown',
    async (odd) => {
      const { url, requests } = await rawServer(answering(200, JSON_HEADERS, '{}'));
      const source = sourceAt(url);
      const accessToken = new Secret(odd);
      const page = await wholePage(source, { url, accessToken, signal });
      const introspection = await source.introspect({ token: accessToken, of: 'access_token', signal });
      expect(page).toEqual({ kind: 'unavailable', reason: 'connection' });
      expect(introspection).toEqual({ kind: 'unknown' });
      expect(await source.revoke({ accessToken, refreshToken: null, signal })).toBe('unconfirmed');
      expect(requests).toEqual([]);
    },
  );

  test('a cut page is unavailable as cut short; a token reply that was cut is no reply', async () => {
    const { url } = await rawServer(answering(200, { 'content-encoding': 'gzip' }, cutGzip));
    const source = sourceAt(url);
    const page = await wholePage(source, { url, accessToken: ACCESS, signal });
    expect(page).toEqual({ kind: 'unavailable', reason: 'cut_short' });
    expect(await source.refresh({ refreshToken: REFRESH, ...spend })).toEqual({
      kind: 'no_reply',
      reason: 'connection',
      sent: true,
    });
  });

  test('a token reply of 300 kB is not read to its end', async () => {
    const { url } = await rawServer(
      answering(200, JSON_HEADERS, JSON.stringify({ access_token: 'x'.repeat(300_000) })),
    );
    expect(await sourceAt(url).refresh({ refreshToken: REFRESH, ...spend })).toEqual({
      kind: 'no_reply',
      reason: 'too_large',
      sent: true,
    });
  });

  test('an abort ends a call as cancelled', async () => {
    const { url } = await rawServer(() => {});
    const source = sourceAt(url);
    const aborted = AbortSignal.abort(new Error('canary'));
    expect(await source.refresh({ refreshToken: REFRESH, signal: aborted, mayStillSend: () => true })).toEqual({
      kind: 'no_reply',
      reason: 'cancelled',
      sent: false,
    });
    const page = await wholePage(source, { url, accessToken: ACCESS, signal: aborted });
    expect(page).toEqual({ kind: 'unavailable', reason: 'cancelled' });
  });

  test('a source prints no key, and a page is given as its bytes', async () => {
    const { url } = await rawServer(answering(200, {}, '{"v":1.00}'));
    const source = sourceAt(url);
    expect(inspect(source, { depth: null, showHidden: true })).not.toContain('canary');
    const page = await wholePage(source, { url, accessToken: ACCESS, signal });
    expect(page.kind === 'page' ? textOf(page.bytes) : page).toBe('{"v":1.00}');
  });
});

test('the configured sources are found by their names and close their connections', async () => {
  const config = flexpaConfigOf({ publishableKey: 'pk', secretKey: 'sk' });
  const sources = createSources({ config: { one: config, two: config }, clock: clockAt(() => NOW) });
  expect(sources.names()).toEqual(['one', 'two']);
  expect([sources.get('two')?.name, sources.get('three'), sources.get('constructor')]).toEqual([
    'two',
    undefined,
    undefined,
  ]);
  await sources.close();
});
