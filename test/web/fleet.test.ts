import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createHttpApi } from '../../src/client/http.ts';
import { PerennialError } from '../../src/core/errors.ts';
import { requestOf } from '../support/fake-service.ts';
import { bearer, KEY, post, READER_KEY, startWeb, type TestWeb } from '../support/web.ts';

const NOW = '2026-07-01T12:00:00.000Z';
let web: TestWeb;
beforeEach(async () => {
  web = await startWeb();
  await post(`${web.url}/v1/authorizations`, JSON.stringify(requestOf('a-1')));
});
afterEach(() => web.close());

const get = (path: string, key?: string) =>
  fetch(`${web.url}${path}`, { headers: key === undefined ? bearer() : { authorization: `Bearer ${key}` } });

describe('an access token', () => {
  test('is handed to a key with the scope, is not kept by any cache, and stands in the audit under the caller’s name', async () => {
    const answer = await get('/v1/authorizations/a-1/token');
    expect(answer.status).toBe(200);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(await answer.json()).toMatchObject({ tokenType: 'Bearer', expiresIn: 60 });
    expect(web.service.actors.at(-1)).toBe('service:portal');
  });

  test('is refused to a key without the scope, before anybody looks for it', async () => {
    const before = web.service.actors.length;
    const answer = await get('/v1/authorizations/a-1/token', READER_KEY);
    expect(answer.status).toBe(403);
    expect(await answer.json()).toMatchObject({ error: { code: 'forbidden', field: 'scope token' } });
    expect(web.service.actors).toHaveLength(before);
  });

  test('that cannot be had now says when to ask again', async () => {
    web.service.failure = new PerennialError('upstream_throttled', { retryAfterMs: 7_400 });
    const answer = await get('/v1/authorizations/a-1/token');
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '8']);
  });

  test('comes through the client too', async () => {
    const api = createHttpApi({ url: web.url, apiKey: KEY });
    expect(await api.token('a-1')).toMatchObject({ fhirBaseUrl: 'https://fhir.example/r4' });
    await expect(api.token('nobody')).rejects.toMatchObject({ code: 'authorization_not_found' });
    await api.close();
  });
});

describe('the fleet', () => {
  test('is counted by state and told with its purge lag to a key that may read', async () => {
    const answer = await get('/v1/fleet', READER_KEY);
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual(web.service.kept.fleet);
    expect((await fetch(`${web.url}/v1/fleet`)).status).toBe(401);
    const api = createHttpApi({ url: web.url, apiKey: KEY });
    expect(await api.fleet()).toEqual(web.service.kept.fleet);
    await api.close();
  });
});

describe('the event feed', () => {
  const event = (cursor: number) => ({
    cursor,
    at: NOW,
    kind: 'ending' as const,
    authorizationId: 'a-1',
    source: 'flexpa',
    reason: 'consent',
    endsAt: NOW,
    daysLeft: 7,
  });

  test('is read page by page from a cursor, which an empty page leaves where it was', async () => {
    web.service.kept.events.push(event(3), event(5), event(9));
    const first = await (await get('/v1/events?limit=2')).json();
    expect(first).toMatchObject({ events: [event(3), event(5)], next: 5 });
    expect(await (await get('/v1/events?after=5')).json()).toMatchObject({ events: [event(9)], next: 9 });
    expect(await (await get('/v1/events?after=9')).json()).toEqual({ events: [], next: 9 });
  });

  test.each(['after=-1', 'after=x', 'limit=0', 'limit=501', 'since=1'])('refuses %s by name', async (query) => {
    const answer = await get(`/v1/events?${query}`);
    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain(query.split('=')[0]);
  });

  test('needs a key', async () => {
    for (const path of ['/v1/events', '/v1/calendar', '/v1/sources', '/v1/authorizations/a-1/token']) {
      expect((await fetch(`${web.url}${path}`)).status).toBe(401);
    }
  });
});

describe('calendar and sources', () => {
  test('list what the service knows', async () => {
    web.service.kept.sources.push({ source: 'flexpa', condition: 'outage', since: NOW, lastAt: NOW });
    expect(await (await get('/v1/sources')).json()).toEqual({ sources: web.service.kept.sources });
    expect(await (await get('/v1/calendar?withinDays=14')).json()).toMatchObject({
      ending: [{ id: 'a-1' }],
      more: 0,
      waiting: 0,
    });
    expect((await get('/v1/calendar?withinDays=0')).status).toBe(400);
    expect((await get('/v1/calendar?withinDays=100000')).status).toBe(400);
  });
});

describe('a preview of the load', () => {
  const preview = (body: string, key?: string) =>
    fetch(`${web.url}/v1/plan`, {
      method: 'POST',
      headers: {
        ...(key === undefined ? bearer() : { authorization: `Bearer ${key}` }),
        'content-type': 'application/json',
      },
      body,
    });

  test('is told to a key that may read, for the table that came with it', async () => {
    const answer = await preview(JSON.stringify({ networks: { TEFCA_IAS: { pullEveryHours: 12 } } }), READER_KEY);
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual(web.service.kept.plan);
    const asked = { networks: { TEFCA_IAS: { pullEveryMs: 43_200_000 } }, endpoints: {} };
    expect(web.service.kept.tables).toEqual([asked]);
    const api = createHttpApi({ url: web.url, apiKey: KEY });
    expect(await api.planLoad({})).toEqual(web.service.kept.plan);
    await api.close();
  });

  test.each([
    [{ networks: { TEFCA_IAS: { pullEveryHours: -7_313 } } }, 'networks.TEFCA_IAS.pullEveryHours'],
    [{ endpoints: { 'payer-1': { lateAfterHours: 'canary' } } }, 'endpoints.payer-1.lateAfterHours'],
    [{ networks: { TEFCA: {} } }, 'networks'],
    [{ network: {} }, ''],
  ])('refuses %j by the field’s name and never by its value', async (table, field) => {
    const answer = await preview(JSON.stringify(table));
    const text = await answer.text();
    expect(answer.status).toBe(400);
    expect(text).toContain(field);
    expect(text).not.toMatch(/7313|7_313|canary/);
    expect(web.service.kept.tables).toEqual([]);
  });

  test('is refused without a key', async () => {
    const answer = await fetch(`${web.url}/v1/plan`, { method: 'POST', body: '{}' });
    expect(answer.status).toBe(401);
  });
});
