import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PerennialError } from '../../src/core/errors.ts';
import { requestOf } from '../support/fake-service.ts';
import { bearer, KEY, post, startWeb, type TestWeb } from '../support/web.ts';

let web: TestWeb;
beforeEach(async () => {
  web = await startWeb();
});
afterEach(() => web.close());

const at = (path: string) => `${web.url}${path}`;
const get = (path: string, key: string = KEY) => fetch(at(path), { headers: bearer(key) });

describe('bad input is refused by field, whole, and without its value', () => {
  const body = (change: object) => JSON.stringify({ ...requestOf('bad-1'), ...change });
  const cases: readonly [string, () => Promise<Response>, number, string, RegExp][] = [
    ['an unknown usage', () => send(body({ usage: 'canary-usage' })), 400, 'invalid_request', /^usage must be one of/],
    ['an unknown network', () => send(body({ network: 'canary-net' })), 400, 'invalid_request', /^network must be/],
    [
      'no token',
      () => send(body({ accessToken: undefined, refreshToken: undefined, expiresIn: undefined })),
      400,
      'invalid_request',
      /^publicToken is missing/,
    ],
    [
      'both kinds of token',
      () => send(body({ publicToken: 'canary-public-4e2b' })),
      400,
      'invalid_request',
      /^accessToken does not go/,
    ],
    [
      'an unknown field',
      () => send(body({ colour: 'canary-value' })),
      400,
      'invalid_request',
      /^colour is an unknown field$/,
    ],
    [
      'an id that is an e-mail address',
      () => send(body({ id: 'canary@example.org' })),
      400,
      'invalid_request',
      /^id must be/,
    ],
    ['malformed JSON', () => send('{"id": "canary-half'), 400, 'malformed_json', /^$/],
    ['an empty body', () => send(''), 400, 'malformed_json', /^$/],
    ['a poisoned prototype', () => send('{"__proto__": {"canary": 1}}'), 400, 'malformed_json', /^$/],
    ['a body that is no object', () => send('["canary"]'), 400, 'invalid_request', /^body must be object$/],
    ['too large a body', () => send(body({ accessToken: 'canary'.repeat(20_000) })), 413, 'body_too_large', /^$/],
    ['plain text', () => send(body({}), 'text/plain'), 415, 'unsupported_media_type', /^$/],
    ['a form', () => send('a=canary', 'application/x-www-form-urlencoded'), 415, 'unsupported_media_type', /^$/],
    ['a bad id in the path', () => get('/v1/authorizations/canary%40x.org'), 400, 'invalid_request', /^id must be/],
    ['an endless id', () => get(`/v1/authorizations/${'canary'.repeat(1_000)}`), 404, 'not_found', /^$/],
    ['a broken escape', () => get('/v1/authorizations/canary%zz'), 404, 'not_found', /^$/],
    ['an unknown state', () => get('/v1/authorizations?state=canary'), 400, 'invalid_request', /^state must be one of/],
    [
      'too large a page',
      () => get('/v1/authorizations?limit=canary'),
      400,
      'invalid_request',
      /^limit must be number$/,
    ],
    [
      'an unknown parameter',
      () => get('/v1/authorizations?colour=canary'),
      400,
      'invalid_request',
      /^colour is an unknown field$/,
    ],
    [
      'a negative cursor',
      () => get('/v1/authorizations/a/changes?after=-1'),
      400,
      'invalid_request',
      /^after is too small$/,
    ],
    [
      'a strange type',
      () => get('/v1/authorizations/a/records?type=canary/..'),
      400,
      'invalid_request',
      /^type must be a FHIR/,
    ],
    ['an unknown route', () => get('/v1/canary'), 404, 'not_found', /^$/],
    ['an unknown authorization', () => get('/v1/authorizations/canary-none'), 404, 'authorization_not_found', /^$/],
  ];
  const send = (text: string, type = 'application/json') =>
    post(at('/v1/authorizations'), text, { 'content-type': type });

  test.each(cases)('%s', async (_name, ask, status, code, field) => {
    const answer = await ask();
    const text = await answer.text();
    expect([answer.status, text]).toEqual([status, expect.stringContaining(`"code":"${code}"`)]);
    const { error }: { error: { field?: string; message: string } } = JSON.parse(text);
    expect(error.field ?? '').toMatch(field);
    expect(text).not.toMatch(/canary/i);
    expect(JSON.stringify(web.lines)).not.toMatch(/canary/i);
    expect(web.service.requests.size).toBe(0);
  });

  test('a throw that is none of ours answers 500 internal and tells nothing of itself, nor does the log', async () => {
    web.service.failure = new Error('canary: password=hunter2 at /srv/secret.ts');
    const answer = await get('/v1/authorizations/a-1');
    const text = await answer.text();
    expect(answer.status).toBe(500);
    expect(JSON.parse(text)).toEqual({ error: { code: 'internal', message: 'Something went wrong on our side' } });
    expect(JSON.stringify(web.lines)).not.toMatch(/canary|hunter2|secret/);
    expect(web.lines).toContainEqual({
      level: 'error',
      event: 'request_failed',
      fields: { route: 'GET /v1/authorizations/:id', code: 'internal', reason: 'Error' },
    });
  });

  test('a failure with a hint says when to come back', async () => {
    web.service.failure = new PerennialError('upstream_throttled', { retryAfterMs: 1_500 });
    const answer = await get('/v1/authorizations/a-1');
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '2']);
  });
});
