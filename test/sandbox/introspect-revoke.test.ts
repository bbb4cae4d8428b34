import { expect, it } from 'vitest';
import { DAY_MS, exchange, get, grant, newLink, refresh, refreshed, send, start, statsOf } from './support.ts';

const INVALID = { statusCode: 401, error: 'Unauthorized', message: 'Invalid access token' };

function revoke(url: string, access: string, secret_key = 'sk_test_sandbox'): Promise<Response> {
  return send(`${url}/link/revoke`, 'POST', { secret_key }, { authorization: `Bearer ${access}` });
}

it('introspects the bearer itself, with authorization id, state, patient and counts per type', async () => {
  const { url, now } = await start();
  const it = await grant(url, { externalId: 'usr_9', size: 30 });
  const reply = await get(`${url}/link/introspect`, it.access);
  expect(reply.status).toBe(200);
  expect(await reply.json()).toEqual({
    jti: it.authorizationId,
    sub: it.authorizationId,
    iat: Math.floor(now() / 1000),
    exp: Math.floor((now() + DAY_MS) / 1000),
    patient: it.patient,
    state: 'EXCHANGED',
    endpoint: expect.objectContaining({ name: 'meadowlark-health-plan', refreshable: true }),
    timeUntilMaxAuth: 'unknown',
    user: { externalId: 'usr_9' },
    sync: {
      resourceTypes: expect.objectContaining({ Patient: 1, Coverage: 1, ExplanationOfBenefit: expect.any(Number) }),
    },
  });
});

it('answers 401 Boom to an expired, an unknown and a missing token', async () => {
  const { url, advance } = await start();
  const { access } = await grant(url);
  advance(DAY_MS);
  for (const reply of [
    await get(`${url}/link/introspect`, access),
    await get(`${url}/link/introspect`, 'nonsense'),
    await fetch(`${url}/link/introspect`),
  ]) {
    expect(reply.status).toBe(401);
    expect(await reply.json()).toEqual(INVALID);
  }
});

it('can introspect an expired token with 200 and a past exp', async () => {
  const { url, advance, now } = await start({ knobs: { expiredIntrospect: '200' } });
  const { access } = await grant(url);
  advance(DAY_MS + 5000);
  const body: { exp: number } = JSON.parse(await (await get(`${url}/link/introspect`, access)).text());
  expect(body.exp).toBeLessThan(now() / 1000);
});

it('calls a superseded token that still lives REFRESHED', async () => {
  const { url } = await start({ knobs: { oldAccessToken: 'lives' } });
  const { access, refresh: token } = await grant(url);
  await refreshed(url, token);
  expect(await (await get(`${url}/link/introspect`, access)).json()).toMatchObject({ state: 'REFRESHED' });
});

it('revokes every authorization of the same patient and endpoint, and counts the access tokens', async () => {
  const { url } = await start();
  const first = await grant(url);
  const second = await grant(url, { patient: first.patient });
  expect(second.patient).toBe(first.patient);
  expect((await revoke(url, first.access, 'sk_wrong')).status).toBe(401);
  const reply = await revoke(url, first.access);
  expect(reply.status).toBe(200);
  expect(await reply.json()).toEqual({ count: 2 });
  expect((await get(`${url}/fhir/Patient`, second.access)).status).toBe(401);
  expect((await refresh(url, second.refresh)).status).toBe(400);
});

it('lets the patient disconnect: the next calls get 401 Boom and invalid_grant, and are counted', async () => {
  const { url } = await start();
  const it = await grant(url);
  const other = await grant(url);
  const reply = await send(`${url}/sandbox/authorizations/${it.authorizationId}/revoke`, 'POST');
  expect(await reply.json()).toEqual({ count: 1 });
  for (const path of ['/fhir/Patient', '/link/introspect', '/rest/consent']) {
    const dead = await get(`${url}${path}`, it.access);
    expect(dead.status).toBe(401);
    expect(await dead.json()).toEqual(INVALID);
  }
  expect(await (await refresh(url, it.refresh)).json()).toMatchObject({ error: 'invalid_grant' });
  expect(await statsOf(url, it.authorizationId)).toMatchObject({
    alive: false,
    revocations: 1,
    requestsAfterRevoke: 4,
    state: 'REVOKED',
  });
  expect((await get(`${url}/fhir/Patient`, other.access)).status).toBe(200);
});

it('words a FHIR 401 as an OperationOutcome when asked to', async () => {
  const { url } = await start({ knobs: { fhir401Body: 'operation-outcome' } });
  const reply = await get(`${url}/fhir/Patient`, 'nonsense');
  expect(reply.status).toBe(401);
  expect(await reply.json()).toMatchObject({ resourceType: 'OperationOutcome' });
});

it('shows the consent with usage, state and times of its authorization', async () => {
  const { url } = await start();
  const { publicToken, authorizationId, patient } = await newLink(url);
  const tokens: { access_token: string } = JSON.parse(await (await exchange(url, publicToken)).text());
  const body: unknown = await (await get(`${url}/rest/consent`, tokens.access_token)).json();
  expect(body).toEqual({
    id: expect.any(String),
    createdAt: '2026-10-01T08:30:00.000Z',
    updatedAt: null,
    patientAuthorizations: [
      {
        id: authorizationId,
        state: 'EXCHANGED',
        usage: 'MULTIPLE',
        createdAt: '2026-10-01T08:30:00.000Z',
        authorizedAt: '2026-10-01T08:30:00.000Z',
        exchangedAt: '2026-10-01T08:30:00.000Z',
        revokedAt: null,
        expiredAt: null,
        patient,
        endpoint: {
          id: expect.any(String),
          name: 'meadowlark-health-plan',
          label: ['Meadowlark Health Plan'],
          refreshable: true,
        },
        active: true,
        type: 'PAYER',
      },
    ],
  });
});

it('lists several authorizations of mixed refreshability under one consent when asked to', async () => {
  const { url } = await start({ knobs: { authorizationsPerConsent: 3 } });
  const { access } = await grant(url);
  const body: { patientAuthorizations: { endpoint: { refreshable: boolean } }[] } = JSON.parse(
    await (await get(`${url}/rest/consent`, access)).text(),
  );
  expect(body.patientAuthorizations.map((row) => row.endpoint.refreshable)).toEqual([true, false, true]);
});
