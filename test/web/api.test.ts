import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { receiptViewOf } from '../../src/contract/proof.ts';
import { receiptOf } from '../contract/store/samples.ts';
import { CANARIES, requestOf } from '../support/fake-service.ts';
import { bearer, KEY, post, READER_KEY, startWeb, type TestWeb } from '../support/web.ts';

let web: TestWeb;
beforeEach(async () => {
  web = await startWeb();
});
afterEach(() => web.close());

const at = (path: string) => `${web.url}${path}`;
const get = (path: string, key: string = KEY) => fetch(at(path), { headers: bearer(key) });
const accept = (id: string) => post(at('/v1/authorizations'), JSON.stringify(requestOf(id)));

describe('handing over an authorization', () => {
  test('a new one answers 201 with its place and state, and the service sees who sent it', async () => {
    const answer = await accept('a-1');
    expect(answer.status).toBe(201);
    expect(answer.headers.get('location')).toBe('/v1/authorizations/a-1');
    expect(await answer.json()).toMatchObject({ id: 'a-1', state: 'active', usage: 'MULTIPLE' });
    expect(web.service.actors).toEqual(['service:portal']);
    expect(web.service.requests.get('a-1')).toEqual(requestOf('a-1'));
  });

  test('the same one again answers 200, other content under its id 409', async () => {
    await accept('a-1');
    expect((await accept('a-1')).status).toBe(200);
    const other = await post(at('/v1/authorizations'), JSON.stringify(requestOf('a-1', { network: 'ONC_G10' })));
    expect(other.status).toBe(409);
    expect(await other.json()).toMatchObject({ error: { code: 'authorization_conflict' } });
  });

  test('no answer shows a token, also not one that the service put into its view by mistake', async () => {
    await accept('a-1');
    const view = web.service.views.get('a-1');
    if (view === undefined) throw new Error('the fake lost a-1');
    web.service.views.set('a-1', Object.assign({ accessToken: CANARIES[0] }, view));
    for (const path of ['/v1/authorizations/a-1', '/v1/authorizations']) {
      const text = await (await get(path)).text();
      for (const canary of CANARIES) expect(text).not.toContain(canary);
    }
  });
});

describe('keys and scopes', () => {
  test('without a key, or with a wrong one, every guarded route answers 401 and says how', async () => {
    const nobody = await fetch(at('/v1/authorizations'));
    expect([nobody.status, nobody.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="Perennial"']);
    const wrong = await get('/v1/authorizations', 'canary-wrong-key');
    expect(wrong.status).toBe(401);
    const unread = await post(at('/v1/authorizations'), '{', { authorization: 'Basic Zm9vOmJhcg==' });
    expect(unread.status).toBe(401);
    expect(web.lines.filter(({ event }) => event === 'authentication_failed')).toHaveLength(3);
    expect(JSON.stringify(web.lines)).not.toContain('canary');
  });

  test('a key may be sent as X-API-Key', async () => {
    const answer = await fetch(at('/v1/authorizations'), { headers: { 'x-api-key': KEY } });
    expect(answer.status).toBe(200);
  });

  test('a key without the scope answers 403 and does nothing', async () => {
    await accept('a-1');
    const answers = await Promise.all([
      fetch(at('/v1/authorizations/a-1'), { method: 'DELETE', headers: bearer(READER_KEY) }),
      fetch(at('/v1/authorizations/a-1/pull'), { method: 'POST', headers: bearer(READER_KEY) }),
      get('/v1/authorizations/a-1/records', READER_KEY),
      get('/v1/authorizations/a-1/changes', READER_KEY),
      post(at('/v1/authorizations'), JSON.stringify(requestOf('a-2')), bearer(READER_KEY)),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([403, 403, 403, 403, 403]);
    expect(web.service.actors).toEqual(['service:portal']);
    expect((await get('/v1/authorizations/a-1', READER_KEY)).status).toBe(200);
  });
});

describe('an operator', () => {
  test('lets a quarantined authorization run again, and nobody does without the scope', async () => {
    await accept('a-1');
    const release = (key: string) => post(at('/v1/authorizations/a-1/release'), '{}', bearer(key));
    const refused = await release(READER_KEY);
    expect([refused.status, web.service.actors]).toEqual([403, ['service:portal']]);
    const answer = await release(KEY);
    expect([answer.status, web.service.actors]).toEqual([200, ['service:portal', 'service:portal']]);
    expect(await answer.json()).toMatchObject({ id: 'a-1', state: 'active', why: 'released_by_operator' });
  });
});

describe('reading and steering', () => {
  test('the list goes through all authorizations a page at a time', async () => {
    for (const id of ['a-1', 'a-2', 'a-3']) await accept(id);
    const first = await (await get('/v1/authorizations?limit=2')).json();
    expect(first).toMatchObject({ authorizations: [{ id: 'a-1' }, { id: 'a-2' }], next: 'a-2' });
    const second = await (await get('/v1/authorizations?limit=2&after=a-2')).json();
    expect(second).toMatchObject({ authorizations: [{ id: 'a-3' }], next: null });
    expect(await (await get('/v1/authorizations?state=purged')).json()).toEqual({ authorizations: [], next: null });
  });

  test('DELETE and pull answer 202 and pass on who asked', async () => {
    await accept('a-1');
    const pulled = await fetch(at('/v1/authorizations/a-1/pull'), { method: 'POST', headers: bearer() });
    const ended = await fetch(at('/v1/authorizations/a-1'), { method: 'DELETE', headers: bearer() });
    expect([pulled.status, ended.status]).toEqual([202, 202]);
    expect(await ended.json()).toMatchObject({ id: 'a-1', state: 'purging' });
    expect(web.service.actors).toEqual(['service:portal', 'service:portal', 'service:portal']);
  });

  test('changes come with the cursor to go on from, also when there are none', async () => {
    await accept('a-1');
    const change = { at: '2026-07-01T12:00:00.000Z', resourceType: 'Patient', added: ['p'], modified: [], removed: [] };
    web.service.kept.changes.push({ ...change, cursor: 4 }, { ...change, cursor: 7 });
    expect(await (await get('/v1/authorizations/a-1/changes?limit=1')).json()).toMatchObject({ next: 4 });
    expect(await (await get('/v1/authorizations/a-1/changes?after=4')).json()).toMatchObject({ next: 7 });
    expect(await (await get('/v1/authorizations/a-1/changes?after=7')).json()).toEqual({ changes: [], next: 7 });
  });

  test('a receipt shows instants as ISO 8601; before the purge there is none', async () => {
    await accept('a-1');
    expect((await get('/v1/authorizations/a-1/receipt')).status).toBe(404);
    const receipt = receiptViewOf({ ...receiptOf('a-1'), keyFingerprint: 'print', link: null });
    web.service.kept.receipt = receipt;
    expect(await (await get('/v1/authorizations/a-1/receipt')).json()).toEqual(receipt);
    expect(receipt.purgedAt).toMatch(/^2027-.*Z$/);
  });

  test('the intake key is given without its private part, whatever was configured', async () => {
    await web.close();
    const leaky = { kty: 'OKP', crv: 'X25519', x: 'pub', kid: 'k1', d: 'canary-private' } as const;
    web = await startWeb({ intakePublicJwk: leaky });
    expect(await (await get('/v1/intake-key')).json()).toEqual({ kty: 'OKP', crv: 'X25519', x: 'pub', kid: 'k1' });
  });

  test('every answer carries the security headers, also the refusals', async () => {
    for (const path of ['/v1/authorizations', '/v1/nowhere', '/v1/openapi.json', '/v1/authorizations/%zz']) {
      const answer = await get(path);
      expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
      expect(answer.headers.get('referrer-policy')).toBe('no-referrer');
      expect(answer.headers.get('cache-control')).toBe('no-store');
    }
  });

  test('one line a request is logged: route pattern, status, time, service', async () => {
    await get('/v1/authorizations/canary-id');
    const lines = web.lines.filter(({ event }) => event === 'request');
    expect(lines).toEqual([
      {
        level: 'info',
        event: 'request',
        fields: {
          route: 'GET /v1/authorizations/:id',
          status: 404,
          durationMs: expect.any(Number),
          service: 'portal',
        },
      },
    ]);
  });
});
