import { describe, expect, test } from 'vitest';
import { intakeJob } from '../../jobs/intake.ts';
import { createIntakeKey, createOpener, sealRequest } from '../../src/adapters/intake/seal.ts';
import { ERRORS, PerennialError } from '../../src/core/errors.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { CANARIES, createFakeService, requestOf } from '../support/fake-service.ts';

const key = await createIntakeKey();
const open = createOpener({ privateJwks: [{ kid: key.kid, jwk: key.privateJwk }] });
const seal = (id: string, change: object = {}) =>
  sealRequest({ request: requestOf(id, change), publicJwk: key.publicJwk });

function intake() {
  const service = createFakeService();
  const job = intakeJob({ service, open });
  const run = (name: string, payload: Readonly<Record<string, unknown>>, ageMs: number = LIMITS.cancelWaitsForMs) =>
    job.run({ name, payload, ageMs, signal: new AbortController().signal });
  return { service, run };
}

const accept = async (id: string, change: object = {}) => ({
  authorizationId: id,
  service: 'portal',
  sealed: await seal(id, change),
});

describe('the intake job', () => {
  test('accepts a sealed request in the name of its service', async () => {
    const { service, run } = intake();
    expect(await run('accept', await accept('i-1'))).toEqual({ kind: 'done', reason: 'accept' });
    expect(service.requests.get('i-1')).toEqual(requestOf('i-1'));
    expect(service.actors).toEqual(['queue:portal']);
  });

  test('the same request again is done, not refused', async () => {
    const { service, run } = intake();
    await run('accept', await accept('i-1'));
    expect(await run('accept', await accept('i-1'))).toEqual({ kind: 'done', reason: 'accept' });
    expect(service.views.size).toBe(1);
  });

  test('cancels', async () => {
    const { service, run } = intake();
    await run('accept', await accept('i-1'));
    expect(await run('cancel', { authorizationId: 'i-1', service: 'portal' })).toEqual({
      kind: 'done',
      reason: 'cancel',
    });
    expect(service.views.get('i-1')?.state).toBe('purging');
  });

  test('a cancellation that overtook its request waits for it, and not for ever', async () => {
    const { service, run } = intake();
    const cancel = { authorizationId: 'i-1', service: 'portal' };
    expect(await run('cancel', cancel, 0)).toMatchObject({ kind: 'again', reason: 'authorization_not_found' });
    expect(await run('cancel', cancel, LIMITS.cancelWaitsForMs)).toEqual({
      kind: 'failed',
      code: 'authorization_not_found',
    });
    await run('accept', await accept('i-1'), 0);
    expect(await run('cancel', cancel, 10_000)).toEqual({ kind: 'done', reason: 'cancel' });
    expect(service.views.get('i-1')?.state).toBe('purging');
  });

  test('after a crash between acceptance and end, when the seal is gone already, the job is done if it was accepted', async () => {
    const { run } = intake();
    await run('accept', await accept('i-1'));
    expect(await run('accept', { authorizationId: 'i-1', service: 'portal' })).toEqual({
      kind: 'done',
      reason: 'accept',
    });
    const never = await run('accept', { authorizationId: 'i-2', service: 'portal' });
    expect(never).toEqual({ kind: 'failed', code: 'authorization_not_found' });
  });

  const refusals: readonly [string, string, () => Promise<Readonly<Record<string, unknown>>>, string][] = [
    ['other content under the same id', 'accept', () => accept('i-1', { usage: 'ONE_TIME' }), 'authorization_conflict'],
    [
      'an id outside that is not the one inside',
      'accept',
      async () => ({ ...(await accept('i-2')), authorizationId: 'i-3' }),
      'invalid_request',
    ],
    [
      'a seal of somebody else',
      'accept',
      async () => ({ ...(await accept('i-2')), sealed: 'canary' }),
      'sealed_request_unreadable',
    ],
    [
      'a seal that was altered',
      'accept',
      async () => ({ ...(await accept('i-2')), sealed: `${await seal('i-2')}x` }),
      'sealed_request_unreadable',
    ],
    [
      'the cancellation of nothing',
      'cancel',
      async () => ({ authorizationId: 'i-9', service: 'portal' }),
      'authorization_not_found',
    ],
    ['another kind of job', 'canary', () => accept('i-2'), 'invalid_request'],
    ['no kind of job', '', () => accept('i-2'), 'invalid_request'],
    [
      'an id that is none',
      'accept',
      async () => ({ ...(await accept('i-2')), authorizationId: 'canary@x.org' }),
      'invalid_request',
    ],
    ['no service', 'cancel', async () => ({ authorizationId: 'i-1' }), 'invalid_request'],
    ['a number as seal', 'accept', async () => ({ ...(await accept('i-2')), sealed: 5 }), 'invalid_request'],
    ['a token in clear', 'accept', async () => requestOf('i-2'), 'invalid_request'],
    ['nothing', 'accept', async () => ({}), 'invalid_request'],
  ];

  test.each(refusals)('refuses %s for good, under its code', async (_, name, payload, code) => {
    const { service, run } = intake();
    await run('accept', await accept('i-1'));
    const outcome = await run(name, await payload());
    expect(outcome).toEqual({ kind: 'failed', code });
    expect([...service.views.keys()]).toEqual(['i-1']);
    expect(service.views.get('i-1')?.state).toBe('active');
  });

  test.each(
    Object.entries(ERRORS)
      .filter(([, { retry }]) => retry !== 'never')
      .map(([code]) => code),
  )('puts the job back while it is %s', async (code) => {
    const { service, run } = intake();
    const known = Object.keys(ERRORS).filter((one): one is keyof typeof ERRORS => one === code);
    service.failure = new PerennialError(known[0] ?? 'internal');
    const outcome = await run('accept', await accept('i-1'));
    expect(outcome).toMatchObject({ kind: 'again', reason: code });
    expect(outcome.kind === 'again' ? outcome.afterWallMs : 0).toBeGreaterThanOrEqual(1_000);
    service.failure = null;
    expect(await run('accept', await accept('i-1'))).toEqual({ kind: 'done', reason: 'accept' });
  });

  test('an unforeseen error is ours, and none of its text goes into the outcome', async () => {
    const { service, run } = intake();
    service.failure = new Error(`refused ${CANARIES.join(' ')}`);
    const outcome = await run('accept', await accept('i-1'));
    expect(outcome).toMatchObject({ kind: 'again', reason: 'internal' });
    expect(JSON.stringify(outcome)).not.toContain('canary');
  });
});
