import { describe, expect, test } from 'vitest';
import { createDiscovery } from '../../src/adapters/upstream/discovery.ts';
import type { Source } from '../../src/core/ports/upstream.ts';
import { Secret } from '../../src/core/secret.ts';
import { type Answer, answering, openHttp, rawServer, spend, whole } from './raw-server.ts';
import { NOW, smartAt, smartServer } from './smart-server.ts';

const REFRESH = new Secret('canary-refresh');
const GRANT = answering(200, { 'content-type': 'application/json' }, '{"access_token":"a2"}');
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const { signal } = spend;
const refresh = (source: Source) => source.refresh({ refreshToken: REFRESH, ...spend });
const granted = { kind: 'reply', status: 200 };
const unsent = (reason: string) => ({ kind: 'no_reply', reason, sent: false });

describe('discovery', () => {
  test('asks below the FHIR base for JSON, with no token, no client and no cookie', async () => {
    const server = await smartServer(GRANT);
    await refresh(smartAt(`${server.fhirBaseUrl}/`));
    const [asked] = server.discoveries();
    expect(asked?.line).toBe('GET /fhir/.well-known/smart-configuration HTTP/1.1');
    expect(asked?.headers.get('accept')).toBe('application/json');
    expect([...(asked?.headers.keys() ?? [])].sort()).toEqual([
      'accept',
      'accept-encoding',
      'connection',
      'host',
      'user-agent',
    ]);
    expect(asked?.body).toBe('');
  });

  test('asks once for all who want to know at once, and then for a day', async () => {
    const server = await smartServer(GRANT);
    let now = NOW;
    const source = smartAt(server.fhirBaseUrl, {}, () => now);
    await Promise.all(Array.from({ length: 10 }, () => refresh(source)));
    now += DAY_MS - 1;
    await refresh(source);
    expect([server.discoveries().length, server.calls().length]).toEqual([1, 11]);
    now += 1;
    await refresh(source);
    expect(server.discoveries()).toHaveLength(2);
  });

  test('follows a token endpoint that has moved', async () => {
    let path = '/token';
    const server = await smartServer(GRANT, (url) => ({ token_endpoint: `${url}${path}` }));
    let now = NOW;
    const source = smartAt(server.fhirBaseUrl, {}, () => now);
    await refresh(source);
    path = '/oauth2/token';
    now += DAY_MS;
    await refresh(source);
    expect(server.calls().map(({ line }) => line.split(' ')[1])).toEqual(['/token', '/oauth2/token']);
  });

  const failures: readonly [string, Answer][] = [
    ['is away', (socket) => void socket.destroy()],
    ['answers 500', answering(500, {}, '{}')],
    ['answers HTML', answering(200, {}, '<html>canary')],
    ['names no token endpoint', answering(200, {}, '{"issuer":"https://canary.test"}')],
    ['names one that no token may be sent to', answering(200, {}, '{"token_endpoint":"http://canary.test/t"}')],
    ['leads elsewhere', answering(302, { location: 'https://canary.test' }, '')],
    ['never ends', answering(200, {}, JSON.stringify({ token_endpoint: '/t', fill: 'x'.repeat(300_000) }))],
  ];

  test.each(failures)(
    'keeps the old document when the server %s, and asks again soon, not each time',
    async (_, fail) => {
      let broken = false;
      const server = await rawServer((socket, request) => {
        if (request.startsWith('POST')) return GRANT(socket, request);
        if (broken) return fail(socket, request);
        socket.write(whole(200, {}, JSON.stringify({ token_endpoint: `${server.url}/token` })));
      });
      const asked = () => server.requests.filter((request) => request.startsWith('GET')).length;
      let now = NOW;
      const source = smartAt(server.url, {}, () => now);
      expect(await refresh(source)).toMatchObject(granted);
      broken = true;
      now += DAY_MS;
      expect(await refresh(source)).toMatchObject(granted);
      expect(await refresh(source)).toMatchObject(granted);
      expect(asked()).toBe(2);
      now += HOUR_MS;
      expect(await refresh(source)).toMatchObject(granted);
      expect(asked()).toBe(3);
    },
  );

  test.each(failures)('that %s from the beginning leaves the refresh unsent', async (kind, fail) => {
    const server = await rawServer(fail);
    const source = smartAt(server.url);
    expect(await refresh(source)).toEqual(unsent(kind === 'never ends' ? 'too_large' : 'connection'));
    expect(await source.introspect({ token: REFRESH, of: 'refresh_token', signal })).toEqual({ kind: 'unknown' });
    expect(await source.revoke({ accessToken: null, refreshToken: REFRESH, signal })).toBe('unconfirmed');
    expect(server.requests.join('')).not.toContain('canary-refresh');
  });

  test('of a server that comes back is used at once', async () => {
    let away = true;
    const server = await rawServer((socket, request) => {
      if (request.startsWith('POST')) return GRANT(socket, request);
      if (away) return void socket.destroy();
      socket.write(whole(200, {}, '{"token_endpoint":"token"}'));
    });
    const source = smartAt(server.url);
    expect(await refresh(source)).toEqual(unsent('connection'));
    away = false;
    expect(await refresh(source)).toMatchObject(granted);
  });

  test('that hangs holds a caller no longer than its own time, and is not ended for the others by it', async () => {
    const { promise: open, resolve: answerNow } = Promise.withResolvers<void>();
    const server = await rawServer(async (socket, request) => {
      if (request.startsWith('POST')) return GRANT(socket, request);
      await open;
      socket.write(whole(200, {}, '{"token_endpoint":"token"}'));
    });
    const source = smartAt(server.url);
    const stop = new AbortController();
    const patient = refresh(source);
    const hasty = source.introspect({ token: REFRESH, of: 'refresh_token', signal: stop.signal });
    await expect.poll(() => server.requests.length).toBe(1);
    stop.abort();
    expect(await hasty).toEqual({ kind: 'unknown' });
    answerNow();
    expect(await patient).toMatchObject(granted);
    expect(server.requests).toHaveLength(2);
  });
});

describe('an endpoint that is discovered', () => {
  const base = 'https://ehr.test/tenant/r4';

  /** What a document leads to, at a base that is not on loopback: the document is served, the base is only a name. */
  async function endpointsAt(fhirBaseUrl: string, document: object) {
    const http = openHttp();
    const { url } = await rawServer(answering(200, {}, JSON.stringify(document)));
    const discover = createDiscovery({
      fhirBaseUrl,
      now: () => NOW,
      http: { ...http, send: (request) => http.send({ ...request, url }) },
    });
    const discovered = await discover({ signal });
    return discovered.kind === 'known' ? discovered.endpoints : null;
  }

  test.each([
    ['whole', 'https://auth.test/token', 'https://auth.test/token'],
    ['with a query', 'https://auth.test/token?tenant=1', 'https://auth.test/token?tenant=1'],
    ['relative to the base', 'auth/token', 'https://ehr.test/tenant/r4/auth/token'],
    ['from the root', '/auth/token', 'https://ehr.test/auth/token'],
    ['without a scheme', '//auth.test/token', 'https://auth.test/token'],
  ])('may be written %s', async (_, token_endpoint, wanted) => {
    expect((await endpointsAt(base, { token_endpoint }))?.token).toBe(wanted);
  });

  test.each([
    'http://auth.test/token',
    'http://127.0.0.1/token',
    'https://user:password@auth.test/token',
    'https://auth.test/token#part',
    'ftp://auth.test/token',
    'javascript:alert(1)',
    'https://',
    '',
    ' ',
  ])('%j is given no token', async (text) => {
    expect(await endpointsAt(base, { token_endpoint: text })).toBeNull();
    const others = { introspection_endpoint: text, revocation_endpoint: text };
    expect(await endpointsAt(base, { token_endpoint: '/token', ...others })).toEqual({
      token: 'https://ehr.test/token',
      introspect: null,
      revoke: null,
    });
  });

  test.each([null, 5, [], { href: 'https://auth.test' }])('%j as introspection endpoint is none', async (text) => {
    const document = { token_endpoint: '/token', introspection_endpoint: text };
    expect(await endpointsAt(base, document)).toMatchObject({ introspect: null });
  });

  test('of a server on loopback stays on loopback, where plain http will do', async () => {
    const at = 'http://127.0.0.1:8080/fhir';
    expect((await endpointsAt(at, { token_endpoint: 'http://localhost:9/t' }))?.token).toBe('http://localhost:9/t');
    expect(await endpointsAt(at, { token_endpoint: 'https://auth.test/t' })).toBeNull();
  });
});

describe('a URL in the settings', () => {
  test('goes before a discovered one, and where it is enough nothing is asked', async () => {
    const server = await smartServer(answering(200, {}, '{"active":false}'));
    const source = smartAt(server.fhirBaseUrl, {
      tokenUrl: `${server.url}/own/token`,
      introspectUrl: `${server.url}/own/introspect`,
    });
    await refresh(source);
    await source.introspect({ token: REFRESH, of: 'refresh_token', signal });
    expect(server.discoveries()).toEqual([]);
    await source.revoke({ accessToken: null, refreshToken: REFRESH, signal });
    expect(server.calls().map(({ line }) => line.split(' ')[1])).toEqual(['/own/token', '/own/introspect', '/revoke']);
    expect(server.discoveries()).toHaveLength(1);
  });

  test('that is null leaves it to discovery', async () => {
    const server = await smartServer(GRANT);
    await refresh(smartAt(server.fhirBaseUrl, { tokenUrl: null }));
    expect(server.calls()[0]?.line).toBe('POST /token HTTP/1.1');
  });
});
