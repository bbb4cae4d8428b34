import { hash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { DAY_MS, get, grant, refresh, refreshed, setKnobs, start, statsOf } from './support.ts';

const DEAD = { statusCode: 400, error: 'invalid_grant', message: expect.any(String) };

describe('rotation', () => {
  it('strict: each refresh gives a new pair, and a spent token is invalid_grant for ever', async () => {
    const { url } = await start();
    const first = await grant(url);
    const second = await refreshed(url, first.refresh);
    expect(second.refresh).not.toBe(first.refresh);
    expect(second.access).not.toBe(first.access);
    const reuse = await refresh(url, first.refresh);
    expect(reuse.status).toBe(400);
    expect(await reuse.json()).toEqual(DEAD);
    const third = await refreshed(url, second.refresh);
    expect(await statsOf(url, first.authorizationId)).toMatchObject({
      alive: true,
      refreshes: 2,
      reusedRefreshTokens: 1,
      refusedRefreshTokens: 1,
      refreshTokenSha256Prefix: hash('sha256', third.refresh, 'hex').slice(0, 12),
    });
  });

  it('grace-same: a retry within the grace gets the same pair, after it invalid_grant', async () => {
    const { url, advance } = await start({ knobs: { oldRefreshToken: 'grace-same', refreshGraceMs: 10_000 } });
    const first = await grant(url);
    const second = await refreshed(url, first.refresh);
    advance(10_000);
    expect(await refreshed(url, first.refresh)).toEqual(second);
    advance(1);
    expect((await refresh(url, first.refresh)).status).toBe(400);
    expect((await refresh(url, second.refresh)).status).toBe(200);
  });

  it('grace-new: a retry within the grace gets another pair, which is then the valid one', async () => {
    const { url, advance } = await start({ knobs: { oldRefreshToken: 'grace-new', refreshGraceMs: 10_000 } });
    const first = await grant(url);
    const second = await refreshed(url, first.refresh);
    const third = await refreshed(url, first.refresh);
    expect(third.refresh).not.toBe(second.refresh);
    advance(10_001);
    expect((await refresh(url, second.refresh)).status).toBe(400);
    expect((await get(`${url}/fhir/Patient`, third.access)).status).toBe(200);
    expect((await refresh(url, third.refresh)).status).toBe(200);
  });

  it('family-revoke: a reuse ends the whole authorization, the newest pair included', async () => {
    const { url } = await start({ knobs: { oldRefreshToken: 'family-revoke' } });
    const first = await grant(url);
    const second = await refreshed(url, first.refresh);
    expect((await refresh(url, first.refresh)).status).toBe(400);
    expect((await refresh(url, second.refresh)).status).toBe(400);
    expect((await get(`${url}/fhir/Patient`, second.access)).status).toBe(401);
    expect(await statsOf(url, first.authorizationId)).toMatchObject({ alive: false, state: 'REVOKED' });
  });

  it('never: the same refresh token comes back and keeps working', async () => {
    const { url, advance } = await start({ knobs: { oldRefreshToken: 'never' } });
    const first = await grant(url);
    for (let round = 0; round < 3; round++) {
      advance(80 * DAY_MS);
      expect((await refreshed(url, first.refresh)).refresh).toBe(first.refresh);
    }
  });

  it('leaves the refresh token out of the reply when asked to, and the old one stays good', async () => {
    const { url } = await start({ knobs: { refreshReplyHasRefreshToken: false } });
    const first = await grant(url);
    expect((await refreshed(url, first.refresh)).refresh).toBe('');
    expect((await refreshed(url, first.refresh)).refresh).toBe('');
  });

  it('answers a refresh with exactly the fields of contract 1.4, on the alias too', async () => {
    const { url } = await start();
    const first = await grant(url);
    expect(await (await refresh(url, first.refresh, '/oauth/token')).json()).toEqual({
      access_token: expect.any(String),
      expires_in: 86_400,
      refresh_token: expect.any(String),
      refresh_expires_in: 7_776_000,
      timeUntilMaxAuth: 'unknown',
    });
  });
});

describe('lifetimes', () => {
  it('gives each refresh token its own 90 days', async () => {
    const { url, advance } = await start();
    const first = await grant(url);
    advance(90 * DAY_MS - 1);
    const second = await refreshed(url, first.refresh);
    advance(90 * DAY_MS);
    expect(await (await refresh(url, second.refresh)).json()).toEqual(DEAD);
  });

  it('reads refresh_expires_in 0 as never', async () => {
    const { url, advance } = await start({ knobs: { refreshExpiresIn: 'zero' } });
    const first = await grant(url);
    expect(first.token.refresh_expires_in).toBe(0);
    advance(400 * DAY_MS);
    expect((await refresh(url, first.refresh)).status).toBe(200);
  });

  it.each([
    ['dies', 401],
    ['lives', 200],
  ] as const)('the old access token %s after a refresh', async (oldAccessToken, status) => {
    const { url } = await start({ knobs: { oldAccessToken } });
    const first = await grant(url);
    await refreshed(url, first.refresh);
    expect((await get(`${url}/fhir/Patient`, first.access)).status).toBe(status);
  });
});

describe('lost replies', () => {
  it('rotates, throws the reply away, and leaves a strict client with a spent token', async () => {
    const { url } = await start();
    const it = await grant(url, { knobs: { lostReplies: 1 } });
    await expect(refresh(url, it.refresh)).rejects.toThrow();
    expect((await refresh(url, it.refresh)).status).toBe(400);
    expect(await statsOf(url, it.authorizationId)).toMatchObject({
      lostReplies: 1,
      refreshes: 1,
      reusedRefreshTokens: 1,
      alive: true,
    });
  });

  it('is recovered by a retry where there is a grace window', async () => {
    const { url } = await start({ knobs: { oldRefreshToken: 'grace-same' } });
    const it = await grant(url);
    await setKnobs(url, { authorizations: { [it.authorizationId]: { lostReplies: 2 } } });
    await expect(refresh(url, it.refresh)).rejects.toThrow();
    await expect(refresh(url, it.refresh)).rejects.toThrow();
    const { access } = await refreshed(url, it.refresh);
    expect((await get(`${url}/fhir/Patient`, access)).status).toBe(200);
  });

  it('has carried out a slow refresh even when the client gave up waiting', async () => {
    const { url } = await start();
    const it = await grant(url, { knobs: { slowTokenMs: 100_000 } });
    const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: it.refresh });
    const headers = { authorization: `Basic ${Buffer.from('pk_test_sandbox:sk_test_sandbox').toString('base64')}` };
    const signal = AbortSignal.timeout(100);
    await expect(fetch(`${url}/link/token`, { method: 'POST', body, headers, signal })).rejects.toThrow();
    expect(await statsOf(url, it.authorizationId)).toMatchObject({ refreshes: 1 });
  });

  it.each([
    [401, 'invalid_grant'],
    [403, 'invalid_grant'],
    [400, 'invalid_request'],
  ] as const)(
    'can word a dead refresh token as %i %s, as real servers do',
    async (deadRefreshStatus, deadRefreshCode) => {
      const { url } = await start({
        knobs: { deadRefreshStatus, deadRefreshCode, errorTextField: 'error_description' },
      });
      const reply = await refresh(url, 'unknown');
      expect(reply.status).toBe(deadRefreshStatus);
      expect(await reply.json()).toEqual({
        statusCode: deadRefreshStatus,
        error: deadRefreshCode,
        error_description: expect.any(String),
      });
    },
  );
});
