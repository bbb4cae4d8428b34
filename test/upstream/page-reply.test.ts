import { describe, expect, test } from 'vitest';
import type { HttpReply } from '../../src/adapters/upstream/http.ts';
import { readRefusal } from '../../src/adapters/upstream/page-reply.ts';

function read(status: number, body: unknown = '', headers: Readonly<Record<string, string>> = {}) {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const http: HttpReply = { kind: 'reply', status, headers: new Map(Object.entries(headers)), bytes };
  return readRefusal({ http, now: 0 });
}

const outcome = (...codes: readonly unknown[]) => ({
  resourceType: 'OperationOutcome',
  issue: codes.map((code) => ({ severity: 'error', code, diagnostics: 'canary' })),
});
const boom = { statusCode: 401, error: 'Unauthorized', message: 'Invalid access token' };
const html = '<html><body>canary transient</body></html>';

describe('what a FHIR endpoint answered', () => {
  test.each([
    ['429 transient', 429, outcome('transient'), { 'x-retry-after': '3' }, { kind: 'syncing', retryAfterMs: 3_000 }],
    ['429 transient without a time', 429, outcome('transient'), {}, { kind: 'syncing', retryAfterMs: null }],
    ['429 throttled', 429, outcome('throttled'), { 'retry-after': '60' }, { kind: 'throttled', retryAfterMs: 60_000 }],
    ['429 of another code', 429, outcome('too-costly'), {}, { kind: 'throttled', retryAfterMs: null }],
    ['429 html that says transient', 429, html, {}, { kind: 'throttled', retryAfterMs: null }],
    [
      '429 transient as the second issue',
      429,
      outcome('informational', 'transient'),
      {},
      { kind: 'syncing', retryAfterMs: null },
    ],
    [
      '429 with an issue whose code is a number',
      429,
      outcome(5, 'transient'),
      {},
      { kind: 'syncing', retryAfterMs: null },
    ],
    ['429 with an empty body', 429, '', {}, { kind: 'throttled', retryAfterMs: null }],
    ['422 of a failed sync', 422, outcome('processing'), {}, { kind: 'sync_failed' }],
    ['422 of anything else', 422, outcome('invalid'), {}, { kind: 'type_refused' }],
    ['400 of a server that wants other parameters', 400, outcome('invalid'), {}, { kind: 'type_refused' }],
    ['401 Boom', 401, boom, {}, { kind: 'token_rejected' }],
    ['401 OperationOutcome', 401, outcome('login'), {}, { kind: 'token_rejected' }],
    ['401 html', 401, html, {}, { kind: 'token_rejected' }],
    ['403', 403, outcome('forbidden'), {}, { kind: 'type_refused' }],
    ['404', 404, outcome('not-supported'), {}, { kind: 'not_found' }],
    ['404 of an ended grant, in plain words', 404, 'canary', {}, { kind: 'not_found' }],
    ['410', 410, '', {}, { kind: 'not_found' }],
    ['400 of a gateway', 400, html, {}, { kind: 'unavailable', reason: 'unexpected' }],
    ['406', 406, '', {}, { kind: 'unavailable', reason: 'unexpected' }],
    ['500', 500, outcome('exception'), {}, { kind: 'unavailable', reason: 'server_error' }],
    ['502 html', 502, html, {}, { kind: 'unavailable', reason: 'server_error' }],
    ['503 whose body says transient', 503, outcome('transient'), {}, { kind: 'unavailable', reason: 'server_error' }],
    ['301', 301, '', { location: 'https://canary' }, { kind: 'unavailable', reason: 'redirect' }],
    ['304', 304, '', {}, { kind: 'unavailable', reason: 'redirect' }],
  ])('%s', (_, status, body, headers, wanted) => {
    const reply = read(status, body, headers);
    expect(reply).toEqual(wanted);
    expect(JSON.stringify(reply)).not.toContain('canary');
  });

  test.each(['timeout', 'connection', 'cut_short', 'too_large', 'cancelled'] as const)('no answer: %s', (reason) => {
    expect(readRefusal({ http: { kind: 'none', reason, sent: true }, now: 0 })).toEqual({
      kind: 'unavailable',
      reason,
    });
  });

  test('a request that was withheld is cancelled', () => {
    const reply = readRefusal({ http: { kind: 'none', reason: 'withheld', sent: false }, now: 0 });
    expect(reply).toEqual({ kind: 'unavailable', reason: 'cancelled' });
  });
});
