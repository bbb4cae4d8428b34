import { describe, expect, it } from 'vitest';
import { BASIC, DAY_MS, get, grant, outcome, refresh, send, setKnobs, start, statsOf } from './support.ts';

describe('the token endpoint', () => {
  it('hands out application tokens to JSON and form bodies alike, on both paths', async () => {
    const { url } = await start();
    await grant(url);
    const json = await send(
      `${url}/oauth/token`,
      'POST',
      { grant_type: 'client_credentials' },
      { authorization: BASIC },
    );
    expect(await json.json()).toEqual({ access_token: expect.any(String), expires_in: 1800, token_type: 'Bearer' });
    const body = new URLSearchParams({ grant_type: 'client_credentials' });
    const form = await fetch(`${url}/link/token`, { method: 'POST', body, headers: { authorization: BASIC } });
    const { access_token }: { access_token: string } = JSON.parse(await form.text());
    expect((await get(`${url}/fhir/Patient`, access_token)).status).toBe(200);
    const wildcard = await get(`${url}/fhir/Patient/$PATIENT_ID`, access_token);
    expect(wildcard.status).toBe(403);
    expect(outcome.parse(await wildcard.json()).issue[0].code).toBe('forbidden');
  });

  it.each(['Basic cGs6d3Jvbmc=', 'Basic ???', 'Bearer x', ''])(
    'answers invalid_client to the credentials %j',
    async (authorization) => {
      const { url } = await start();
      const { refresh: token } = await grant(url);
      const reply = await refresh(url, token, '/link/token', authorization);
      expect(reply.status).toBe(401);
      expect(await reply.json()).toEqual({
        statusCode: 401,
        error: 'invalid_client',
        message: 'Unauthorized: Invalid credentials',
      });
      expect((await refresh(url, token)).status).toBe(200);
    },
  );

  it('refuses every client while the invalid_client knob is on', async () => {
    const { url } = await start({ knobs: { invalidClient: true } });
    const { refresh: token } = await grant(url);
    expect(await (await refresh(url, token)).json()).toMatchObject({ error: 'invalid_client' });
  });

  it('knows no other grant type, and no /link/refresh any more', async () => {
    const { url } = await start();
    const reply = await send(`${url}/link/token`, 'POST', { grant_type: 'password' }, { authorization: BASIC });
    expect(reply.status).toBe(400);
    expect(await reply.json()).toMatchObject({ error: 'unsupported_grant_type' });
    expect((await send(`${url}/link/refresh`, 'POST', { access_token: 'x', secret_key: 'y' })).status).toBe(404);
  });

  it.each([
    ['500', 500],
    ['503', 503],
    ['429', 429],
    ['html', 502],
    ['not-json', 200],
  ] as const)('carries out nothing during the outage %s', async (tokenOutage, status) => {
    const { url } = await start();
    const it = await grant(url);
    await setKnobs(url, { authorizations: { [it.authorizationId]: { tokenOutage } } });
    const reply = await refresh(url, it.refresh);
    expect(reply.status).toBe(status);
    await reply.text();
    await setKnobs(url, { authorizations: { [it.authorizationId]: { tokenOutage: 'none' } } });
    expect((await refresh(url, it.refresh)).status).toBe(200);
    expect(await statsOf(url, it.authorizationId)).toMatchObject({ refreshes: 1, refusedRefreshTokens: 0 });
  });

  it('ends a grant at its maximum authorization period, and tells the time left when asked to', async () => {
    const { url, advance } = await start({ knobs: { timeUntilMaxAuth: 'seconds', maxAuthPeriodMs: 2 * DAY_MS } });
    const it = await grant(url);
    expect(it.token).toMatchObject({ expires_in: 86_400 });
    advance(2 * DAY_MS);
    const reply = await refresh(url, it.refresh);
    expect(reply.status).toBe(400);
    expect(await reply.json()).toMatchObject({ error: 'invalid_grant' });
    expect(await statsOf(url, it.authorizationId)).toMatchObject({ alive: false });
  });
});
