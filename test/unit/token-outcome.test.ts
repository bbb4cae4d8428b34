import { describe, expect, test } from 'vitest';
import { NO_ENDS } from '../../src/core/calendar.ts';
import { Secret } from '../../src/core/secret.ts';
import {
  deadReasonOf,
  judgeExchangeReply,
  judgeTokenReply,
  type TokenGrant,
  type TokenReply,
} from '../../src/core/token-outcome.ts';

const grant: TokenGrant = {
  accessToken: new Secret('access'),
  refreshToken: new Secret('refresh'),
  accessLifetimeMs: 1,
  refreshEnd: { kind: 'unknown' },
  authorizationEndsInMs: null,
  accessGrantEndsAt: null,
  patient: null,
  endpoint: null,
};

function reply(
  status: number,
  oauthCode: string | null = null,
  more: Partial<Extract<TokenReply, { kind: 'reply' }>> = {},
) {
  return { kind: 'reply', status, oauthCode, grant: null, retryAfterMs: null, ...more } satisfies TokenReply;
}

const UNSURE = (reason: string) => ({ kind: 'unsure', reason });
const OUTAGE = { kind: 'outage', reason: 'server_error', maybeSpent: true, retryAfterMs: null };

describe('what a token reply means', () => {
  test.each([
    ['a pair', reply(200, null, { grant }), { kind: 'granted', grant }],
    ['201 with a pair', reply(201, null, { grant }), { kind: 'granted', grant }],
    ['200 without a token', reply(200), UNSURE('unusable_body')],
    ['204', reply(204), UNSURE('unusable_body')],
    ['200 with an OAuth error', reply(200, 'invalid_grant'), UNSURE('unusable_body')],
    ['400 invalid_grant', reply(400, 'invalid_grant'), { kind: 'refused' }],
    ['401 invalid_grant', reply(401, 'invalid_grant'), { kind: 'refused' }],
    ['403 invalid_grant', reply(403, 'invalid_grant'), { kind: 'refused' }],
    ['401 invalid_client', reply(401, 'invalid_client'), { kind: 'client_refused' }],
    ['400 invalid_client', reply(400, 'invalid_client'), { kind: 'client_refused' }],
    ['400 unauthorized_client', reply(400, 'unauthorized_client'), { kind: 'client_refused' }],
    ['400 invalid_request', reply(400, 'invalid_request'), { kind: 'unclear' }],
    ['401 Boom', reply(401, 'Unauthorized'), UNSURE('not_oauth')],
    ['401 invalid_token', reply(401, 'invalid_token'), { kind: 'unclear' }],
    ['403 access_denied', reply(403, 'access_denied'), { kind: 'unclear' }],
    ['400 unsupported_grant_type', reply(400, 'unsupported_grant_type'), { kind: 'client_refused' }],
    ['400 temporarily_unavailable', reply(400, 'temporarily_unavailable'), OUTAGE],
    ['503 with a hint', reply(503, null, { retryAfterMs: 9_000 }), { ...OUTAGE, retryAfterMs: 9_000 }],
    ['404 html', reply(404), UNSURE('not_oauth')],
    ['429', reply(429, null, { retryAfterMs: 7_000 }), { kind: 'throttled', retryAfterMs: 7_000 }],
    ['429 whose body says invalid_grant', reply(429, 'invalid_grant'), { kind: 'throttled', retryAfterMs: null }],
    ['500', reply(500), OUTAGE],
    ['500 whose body says invalid_grant', reply(500, 'invalid_grant'), OUTAGE],
    ['503 whose body says invalid_client', reply(503, 'invalid_client'), OUTAGE],
    ['502 html', reply(502), OUTAGE],
    ['a redirect', reply(302), UNSURE('not_oauth')],
    ['a pair under a status that is no success', reply(400, null, { grant }), UNSURE('not_oauth')],
  ])('%s', (_, given, wanted) => {
    expect(judgeTokenReply(given)).toEqual(wanted);
  });

  test.each(['timeout', 'connection', 'cancelled', 'too_large'] as const)('no reply (%s) leaves it open', (reason) => {
    expect(judgeTokenReply({ kind: 'no_reply', reason, sent: true })).toEqual(UNSURE('no_reply'));
    expect(judgeExchangeReply({ kind: 'no_reply', reason, sent: true })).toEqual(UNSURE('no_reply'));
  });

  test('a request that never left has spent nothing, and is no doubt about the token', () => {
    const unsent = { kind: 'outage', reason: 'not_sent', maybeSpent: false, retryAfterMs: null };
    for (const reason of ['timeout', 'connection', 'withheld'] as const) {
      expect(judgeTokenReply({ kind: 'no_reply', reason, sent: false })).toEqual(unsent);
    }
  });

  test('of all statuses only a code of the standard under 4xx ends an authorization or blames the client', () => {
    for (let status = 100; status < 600; status += 1) {
      for (const code of [null, 'invalid_grant', 'invalid_client', 'Unauthorized', 'invalid_token', 'access_denied']) {
        const { kind } = judgeTokenReply(reply(status, code));
        const is4xx = status >= 400 && status < 500 && status !== 429;
        expect(kind === 'refused').toBe(is4xx && code === 'invalid_grant');
        expect(kind === 'client_refused').toBe(is4xx && code === 'invalid_client');
      }
    }
  });
});

describe('what the reply to an exchange means', () => {
  test.each([
    ['400 Boom, as Flexpa refuses a public token', reply(400, 'Bad Request'), { kind: 'refused' }],
    ['404', reply(404), { kind: 'refused' }],
    ['410', reply(410), { kind: 'refused' }],
    ['422', reply(422), { kind: 'refused' }],
    ['401, which speaks of our key', reply(401, 'Unauthorized'), UNSURE('not_oauth')],
    ['403', reply(403), UNSURE('not_oauth')],
    ['400 invalid_client', reply(400, 'invalid_client'), { kind: 'client_refused' }],
    ['429', reply(429), { kind: 'throttled', retryAfterMs: null }],
    ['500', reply(500), OUTAGE],
    ['200 without a token', reply(200), UNSURE('unusable_body')],
    ['a pair', reply(200, null, { grant }), { kind: 'granted', grant }],
  ])('%s', (_, given, wanted) => {
    expect(judgeExchangeReply(given)).toEqual(wanted);
  });
});

describe('why a refused refresh token is dead', () => {
  const now = 1_000;
  test.each([
    ['its time was over', false, 1_000, null, 'refresh_expired'],
    ['its time was over, also with an unsure attempt behind it', true, 999, null, 'refresh_expired'],
    ['the whole authorization is over', true, 1_001, 1_000, 'max_authorization_reached'],
    ['an attempt of ours may have spent it', true, 1_001, 1_001, 'ambiguous_refresh'],
    ['an attempt of ours may have spent one that never ends', true, null, null, 'ambiguous_refresh'],
    ['somebody revoked it', false, 1_001, 1_001, 'revoked'],
    ['somebody revoked one that never ends', false, null, null, 'revoked'],
  ] as const)('%s', (_, unsureBefore, refreshToken, maxAuthorization, wanted) => {
    const ends = { ...NO_ENDS, refreshToken, maxAuthorization };
    expect(deadReasonOf({ unsureBefore, now, ends })).toBe(wanted);
  });
});
