import { expect, test } from 'vitest';
import { createLog } from '../../src/adapters/telemetry/log.ts';
import { Secret } from '../../src/core/secret.ts';
import { oddLines } from '../support/log-lines.ts';

function capture(level: 'silent' | 'error' | 'warn' | 'info' = 'info') {
  const lines: string[] = [];
  const log = createLog({
    level,
    destination: { write: (line) => lines.push(line) },
    now: () => Date.parse('2026-07-01T12:00:00Z'),
  });
  return { log, lines, last: (): unknown => JSON.parse(lines.at(-1) ?? 'null') };
}

test('an event is one line of JSON: time, level, event, fields', () => {
  const { log, lines, last } = capture();
  log.warn('token_refused', { authorizationId: 'a-1', durationMs: 12, code: 'token_rejected' });
  expect(lines).toHaveLength(1);
  expect(lines[0]?.endsWith('\n')).toBe(true);
  expect(last()).toEqual({
    time: '2026-07-01T12:00:00.000Z',
    level: 'warn',
    event: 'token_refused',
    authorizationId: 'a-1',
    durationMs: 12,
    code: 'token_rejected',
  });
});

test('a smuggled field, a Secret, an error or an object in a known field never shows', () => {
  const { log, lines, last } = capture();
  const smuggled = Object.assign(
    { authorizationId: 'a-1' },
    { accessToken: 'canary-token', err: new Error('canary-error'), msg: 'canary', level: 'canary', time: 'canary' },
    { reason: new Secret('canary-secret'), field: { deep: 'canary-deep' }, durationMs: Number.NaN },
  );
  const fields = Object.assign(smuggled, { toJSON: () => ({ canary: 1 }) });
  Reflect.apply(log.info, undefined, ['pulled', fields]);
  expect(last()).toEqual({ time: expect.any(String), level: 'info', event: 'pulled', authorizationId: 'a-1' });
  expect(lines.join('')).not.toMatch(/canary|\[secret\]/);
});

test('an inherited field is not copied', () => {
  const { log, lines } = capture();
  log.info('pulled', Object.create({ code: 'canary' }));
  expect(lines.join('')).not.toContain('canary');
});

test('line breaks stay inside their string and long strings are cut', () => {
  const { log, lines, last } = capture();
  log.error('failed', { reason: 'one\n{"level":"info"}\u001b[2J', code: 'x'.repeat(10_000) });
  expect(lines).toHaveLength(1);
  for (const control of ['\n', '\u001b']) expect(lines[0]?.trimEnd()).not.toContain(control);
  expect(last()).toMatchObject({ reason: 'one\n{"level":"info"}\u001b[2J', code: 'x'.repeat(256) });
});

test('below the level nothing is written', () => {
  const { log, lines } = capture('error');
  log.info('a');
  log.warn('b');
  expect(lines).toEqual([]);
});

test.each([
  ['a field that nobody knows', { patient: 'x' }],
  ['a sentence for a reason', { reason: 'The patient Jane Doe was not found' }],
  ['a token for a reason', { reason: 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0' }],
  ['a code of no catalogue', { code: 'ECONNRESET' }],
  ['a reference for an endpoint', { endpointId: 'Patient/123' }],
  ['an address with a query', { address: 'http://127.0.0.1/?token=x' }],
  ['a path with an id for a route', { route: 'GET /v1/authorizations/a b' }],
  ['a message among the frames', { frames: 'at Patient Doe (src/a.ts:1:1)' }],
  ['an object', { count: { deep: 1 } }],
])('the look at log lines sees %s', (_what, field) => {
  const good = {
    level: 'info',
    time: '2026-07-01T12:00:00.000Z',
    event: 'pulled',
    authorizationId: 'a-1',
    code: 'internal',
  };
  expect(oddLines([JSON.stringify(good)])).toEqual([]);
  expect(oddLines([JSON.stringify({ ...good, ...field })])).toHaveLength(1);
  expect(oddLines(['no JSON'])).toHaveLength(1);
});
