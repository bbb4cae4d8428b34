import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { HttpReply } from '../../src/adapters/upstream/http.ts';
import { readTokenReply } from '../../src/adapters/upstream/token-reply.ts';
import { LIMITS } from '../../src/core/limits.ts';

const NOW = Date.UTC(2026, 6, 1);
const ACCESS = 'canary-access-7f3a';
const REFRESH = 'canary-refresh-9c1d';

function read(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}) {
  const bytes = body instanceof Uint8Array ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const http: HttpReply = { kind: 'reply', status, headers: new Map(Object.entries(headers)), bytes };
  return readTokenReply({ http, now: NOW });
}

function grantOf(body: object) {
  const reply = read(200, { access_token: ACCESS, ...body });
  if (reply.kind !== 'reply' || reply.grant === null) throw new Error('no grant');
  return reply.grant;
}

describe('a grant', () => {
  test("in Flexpa's shape", () => {
    const grant = grantOf({
      expires_in: 86_400,
      refresh_token: REFRESH,
      refresh_expires_in: 7_776_000,
      patient: 'Patient/123',
      endpoint: { id: 'e-1', name: 'humana', label: ['Humana'], refreshable: true, resources: ['Patient'] },
      timeUntilMaxAuth: 'unknown',
      user: { externalId: 'usr_1' },
    });
    expect([grant.accessToken.reveal(), grant.refreshToken?.reveal()]).toEqual([ACCESS, REFRESH]);
    expect(grant).toMatchObject({
      accessLifetimeMs: 86_400_000,
      refreshEnd: { kind: 'after', lifetimeMs: 7_776_000_000 },
      authorizationEndsInMs: null,
      patient: 'Patient/123',
      endpoint: { id: 'e-1', name: 'humana', refreshable: true },
    });
    expect(Object.keys(grant.endpoint ?? {})).toEqual(['id', 'name', 'refreshable']);
  });

  test('in the standard shape', () => {
    const grant = grantOf({
      token_type: 'Bearer',
      scope: 'launch/patient offline_access',
      expires_in: 3_600,
      refresh_token: REFRESH,
    });
    expect(grant).toMatchObject({
      accessLifetimeMs: 3_600_000,
      refreshEnd: { kind: 'unknown' },
      patient: null,
      endpoint: null,
    });
  });

  test('of an access token and nothing else', () => {
    expect(grantOf({})).toMatchObject({
      refreshToken: null,
      accessLifetimeMs: LIMITS.oneTimeMaxMs,
      refreshEnd: { kind: 'unknown' },
    });
  });
});

describe('lifetimes', () => {
  test.each([
    ['a number', 3_600, 3_600_000],
    ['a fraction', 3_599.998_7, 3_599_998.7],
    ['a text of digits', '3600', 3_600_000],
    ['null', null, LIMITS.accessTokenUnknownLifetimeMs],
    ['0', 0, LIMITS.accessTokenUnknownLifetimeMs],
    ['less than nothing', -5, LIMITS.accessTokenUnknownLifetimeMs],
    ['a word', 'soon', LIMITS.accessTokenUnknownLifetimeMs],
    ['true', true, LIMITS.accessTokenUnknownLifetimeMs],
    ['a list', [], LIMITS.accessTokenUnknownLifetimeMs],
  ])('expires_in as %s', (_, expires_in, wanted) => {
    expect(grantOf({ expires_in, refresh_token: REFRESH }).accessLifetimeMs).toBeCloseTo(wanted, 3);
  });

  test('one that nobody told is short where the token can be refreshed, and the cap where a short guess would cost the data', () => {
    expect(grantOf({ refresh_token: REFRESH }).accessLifetimeMs).toBe(LIMITS.accessTokenUnknownLifetimeMs);
    expect(grantOf({}).accessLifetimeMs).toBe(LIMITS.oneTimeMaxMs);
  });

  test.each([
    ['a number', 60, { kind: 'after', lifetimeMs: 60_000 }],
    ['0, which is never', 0, { kind: 'never' }],
    ['null, which is unknown', null, { kind: 'unknown' }],
    ['undefined', undefined, { kind: 'unknown' }],
    ['an empty text, which is not never', '', { kind: 'unknown' }],
    ['false, which is not never', false, { kind: 'unknown' }],
    ['a list, which is not never', [], { kind: 'unknown' }],
    ['less than nothing', -1, { kind: 'unknown' }],
    ['a text of digits', '60', { kind: 'after', lifetimeMs: 60_000 }],
  ])('refresh_expires_in as %s', (_, refresh_expires_in, wanted) => {
    expect(grantOf({ refresh_expires_in }).refreshEnd).toEqual(wanted);
  });

  test.each([
    [3_600, 3_600_000],
    [0, 0],
    ['unknown', null],
    ['indefinite', null],
    [null, null],
    [-1, null],
  ])('timeUntilMaxAuth %j', (timeUntilMaxAuth, wanted) => {
    expect(grantOf({ timeUntilMaxAuth }).authorizationEndsInMs).toBe(wanted);
  });

  test('an absurd one is capped, so that the pair can be stored and its end be said as a date', () => {
    for (const absurd of [1e15, 1e300, '9'.repeat(300)]) {
      const grant = grantOf({ expires_in: absurd, refresh_expires_in: absurd, timeUntilMaxAuth: absurd });
      expect(grant.accessLifetimeMs).toBe(LIMITS.tokenLifetimeMaxMs);
      expect(grant.refreshEnd).toEqual({ kind: 'after', lifetimeMs: LIMITS.tokenLifetimeMaxMs });
      expect(grant.authorizationEndsInMs).toBe(LIMITS.tokenLifetimeMaxMs);
      expect(() => new Date(NOW + grant.accessLifetimeMs).toISOString()).not.toThrow();
    }
  });
});

describe("the end of the patient's grant itself", () => {
  const AT = Date.UTC(2025, 8, 5, 19, 17, 53);
  test.each([
    ['as Blue Button writes it', '2025-09-05 19:17:53Z', AT],
    ['as ISO has it', '2025-09-05T19:17:53Z', AT],
    ['with a fraction', '2025-09-05 19:17:53.250Z', AT + 250],
    ['in another zone', '2025-09-05T21:17:53+02:00', AT],
    ['empty, as for research apps', '', null],
    ['absent', undefined, null],
    ['null', null, null],
    ['without a zone, which could be any instant of a day', '2025-09-05 19:17:53', null],
    ['a date alone', '2025-09-05', null],
    ['a day that does not exist', '2025-13-45 19:17:53Z', null],
    ['seconds', 1_757_099_873, null],
    ['a word', 'never', null],
  ])('%s', (_, access_grant_expiration, wanted) => {
    expect(grantOf({ access_grant_expiration, refresh_token: REFRESH }).accessGrantEndsAt).toBe(wanted);
  });
});

describe('the type of the token', () => {
  test.each([undefined, null, '', 'Bearer', 'bearer', 'BEARER', ' Bearer ', 'BearerToken'])(
    '%j can be used',
    (type) => {
      expect(read(200, { access_token: ACCESS, token_type: type })).toMatchObject({ grant: { refreshToken: null } });
    },
  );

  test.each(['DPoP', 'mac', 'N_A', 'Bearer, DPoP', 5])('%j asks for more than we send', (type) => {
    expect(read(200, { access_token: ACCESS, token_type: type })).toMatchObject({ status: 200, grant: null });
  });
});

describe('what is beside the tokens', () => {
  test.each([
    ['Patient/123', 'Patient/123'],
    ['123', '123'],
    ['', null],
    [null, null],
    [{ reference: 'Patient/123' }, null],
    ['x'.repeat(129), null],
  ])('patient %j', (patient, wanted) => {
    expect(grantOf({ patient }).patient).toBe(wanted);
  });

  test.each([
    ['no object', 'humana', null],
    ['no id', { name: 'humana' }, null],
    ['a number as id', { id: 5 }, null],
    ['an id alone', { id: 'e' }, { id: 'e' }],
    ['other kinds of name and refreshable', { id: 'e', name: 5, refreshable: 'yes' }, { id: 'e' }],
    ['null', null, null],
  ])('an endpoint of %s never costs the tokens', (_, endpoint, wanted) => {
    expect(grantOf({ endpoint }).endpoint).toEqual(wanted);
  });

  test.each([
    ['', null],
    [null, null],
    [5, null],
  ])('refresh_token %j is none', (refresh_token, wanted) => {
    expect(grantOf({ refresh_token }).refreshToken).toBe(wanted);
  });
});

describe('what is no grant', () => {
  test.each([
    ['no access token', { refresh_token: REFRESH }],
    ['an empty one', { access_token: '' }],
    ['a number', { access_token: 5 }],
    ['html', '<html>canary</html>'],
    ['half of JSON', `{"access_token":"${ACCESS}`],
    ['a list', [ACCESS]],
    ['null', 'null'],
    ['nothing', ''],
    ['bytes that are no UTF-8', Uint8Array.of(0xff, 0xfe, 0x7b)],
  ])('200 with %s', (_, body) => {
    expect(read(200, body)).toMatchObject({ kind: 'reply', status: 200, grant: null, oauthCode: null });
  });

  test('a pair under a status that is no success is not taken', () => {
    expect(read(400, { access_token: ACCESS })).toMatchObject({ grant: null });
    expect(read(302, { access_token: ACCESS })).toMatchObject({ grant: null });
  });
});

describe('a refusal', () => {
  test.each([
    ['Boom with the OAuth code', { statusCode: 400, error: 'invalid_grant', message: 'canary' }, 'invalid_grant'],
    ['the standard', { error: 'invalid_client', error_description: 'canary' }, 'invalid_client'],
    ['Boom without', { statusCode: 401, error: 'Unauthorized', message: 'canary' }, 'Unauthorized'],
    ['an object as error', { error: { code: 'invalid_grant' } }, null],
    ['an endless error', { error: 'x'.repeat(101) }, null],
    ['html', '<html>invalid_grant</html>', null],
  ])('%s', (_, body, oauthCode) => {
    const reply = read(400, body);
    expect(reply).toEqual({ kind: 'reply', status: 400, oauthCode, grant: null, retryAfterMs: null });
    expect(JSON.stringify(reply)).not.toContain('canary');
  });

  test('says how long to wait', () => {
    expect(read(429, '', { 'retry-after': '9' })).toMatchObject({ status: 429, retryAfterMs: 9_000 });
  });
});

test.each([
  ['timeout', 'timeout'],
  ['connection', 'connection'],
  ['cut_short', 'connection'],
  ['too_large', 'too_large'],
  ['cancelled', 'cancelled'],
  ['withheld', 'withheld'],
] as const)('no answer (%s) is no reply (%s), and says whether anything was sent', (reason, wanted) => {
  for (const sent of [true, false]) {
    const reply = readTokenReply({ http: { kind: 'none', reason, sent }, now: NOW });
    expect(reply).toEqual({ kind: 'no_reply', reason: wanted, sent });
  }
});

test('a reply prints no token, however it is printed', () => {
  const reply = read(200, { access_token: ACCESS, refresh_token: REFRESH, patient: 'Patient/1' });
  for (const text of [JSON.stringify(reply), inspect(reply, { depth: null, showHidden: true })]) {
    expect(text).not.toContain('canary');
  }
});
