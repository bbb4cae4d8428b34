import { createRemoteJWKSet, jwtVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import { exchange, get, grant, HOUR_MS, newLink, start, statsOf } from './support.ts';

describe('exchange', () => {
  it('answers a MULTIPLE grant with exactly the fields of contract 1.2', async () => {
    const { url } = await start();
    const { publicToken, patient } = await newLink(url, { externalId: 'usr_123' });
    const reply = await exchange(url, publicToken);
    expect(reply.status).toBe(200);
    expect(reply.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    const body: unknown = await reply.json();
    expect(body).toEqual({
      access_token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
      expires_in: 86_400,
      refresh_token: expect.stringMatching(/^[\w-]{43}$/),
      refresh_expires_in: 7_776_000,
      patient,
      endpoint: {
        id: expect.any(String),
        name: 'meadowlark-health-plan',
        label: ['Meadowlark Health Plan'],
        refreshable: true,
        resources: expect.arrayContaining(['Patient', 'ExplanationOfBenefit']),
      },
      timeUntilMaxAuth: 'unknown',
      user: { externalId: 'usr_123' },
    });
  });

  it('tells the full lifetime also where the clock runs ten thousand times faster than the wall', async () => {
    const clock = { now: () => performance.now() * 10_000, toWallMs: (ms: number) => ms / 10_000 };
    const { url } = await start({ clock });
    const { token } = await grant(url);
    expect(token.expires_in).toBe(86_400);
  });

  it('signs access tokens that verify against the published key, with the authorization as subject', async () => {
    const { url } = await start();
    const it = await grant(url);
    const keys = createRemoteJWKSet(new URL(`${url}/.well-known/jwks.json`));
    const { payload, protectedHeader } = await jwtVerify(it.access, keys, {
      currentDate: new Date(Date.UTC(2026, 9, 1, 9)),
    });
    expect(protectedHeader.alg).toBe('ES256');
    expect(payload).toMatchObject({ sub: it.authorizationId, patient: it.patient });
    expect(payload.jti).toEqual(expect.any(String));
  });

  it('spends a public token once', async () => {
    const { url } = await start();
    const { publicToken } = await newLink(url);
    await exchange(url, publicToken);
    const again = await exchange(url, publicToken);
    expect(again.status).toBe(400);
    expect(await again.json()).toMatchObject({
      statusCode: 400,
      error: 'Bad Request',
      message: expect.stringMatching(/^Invalid public token\./),
    });
  });

  it('refuses a public token after its lifetime, with the words of contract 1.2', async () => {
    const { url, advance } = await start();
    const { publicToken } = await newLink(url);
    advance(30 * 60_000);
    const reply = await exchange(url, publicToken);
    expect(reply.status).toBe(400);
    expect(await reply.json()).toEqual({
      statusCode: 400,
      error: 'Bad Request',
      message: 'Invalid public token. Public token has expired.',
    });
  });

  it('refuses a wrong secret key without spending the public token', async () => {
    const { url } = await start();
    const { publicToken } = await newLink(url);
    expect((await exchange(url, publicToken, 'sk_test_wrong')).status).toBe(401);
    expect((await exchange(url, publicToken)).status).toBe(200);
  });

  it('adds token_type and scope and drops the extras in the v2 shape', async () => {
    const { url } = await start({ knobs: { tokenShape: 'v2' } });
    const { publicToken } = await newLink(url);
    const body: unknown = await (await exchange(url, publicToken)).json();
    expect(body).toEqual({
      access_token: expect.any(String),
      expires_in: 86_400,
      refresh_token: expect.any(String),
      token_type: 'Bearer',
      scope: 'launch/patient offline_access',
    });
  });
});

describe('grants that cannot refresh', () => {
  it('falls back silently: MULTIPLE at a non-refreshable endpoint gets no refresh token and no error', async () => {
    const { url } = await start();
    const { publicToken } = await newLink(url, { endpointId: 'old-harbor-insurance' });
    const reply = await exchange(url, publicToken);
    expect(reply.status).toBe(200);
    const body: unknown = await reply.json();
    expect(body).toMatchObject({ refresh_expires_in: null, endpoint: { refreshable: false } });
    expect(body).not.toHaveProperty('refresh_token');
  });

  it.each([
    ['ONE_TIME', 'meadowlark-health-plan'],
    ['MULTIPLE', 'old-harbor-insurance'],
  ])('answers 401 and expunges the data of %s at %s once the access token has expired', async (usage, endpointId) => {
    const { url, advance } = await start();
    const it = await grant(url, { usage, endpointId });
    expect(it.token.refresh_token).toBeUndefined();
    advance(24 * HOUR_MS - 1);
    expect((await get(`${url}/fhir/Patient/$PATIENT_ID`, it.access)).status).toBe(200);
    advance(1);
    expect((await get(`${url}/fhir/Patient/$PATIENT_ID`, it.access)).status).toBe(401);
    expect(await statsOf(url, it.authorizationId)).toMatchObject({ alive: false, expunges: 1, resources: {} });
    expect(await (await fetch(`${url}/sandbox/patients/${it.patientId}/resources`)).text()).toBe('');
  });
});
