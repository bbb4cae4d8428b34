import { expect, test } from 'vitest';
import { createFlexpaSource } from '../../src/adapters/upstream/flexpa.ts';
import { Secret } from '../../src/core/secret.ts';
import { answering, clockAt, flexpaConfigOf, openHttps, rawServer, spend } from './raw-server.ts';

const TOKEN = new Secret('canary');
const { signal } = spend;

async function asked() {
  const { url, requests } = await rawServer(answering(200, {}, '{"access_token":"a2"}'));
  const config = flexpaConfigOf({ baseUrl: url, publishableKey: 'pk', secretKey: 'sk' });
  return {
    requests,
    source: createFlexpaSource({ name: 'flexpa', config, http: openHttps(), clock: clockAt(() => 0) }),
  };
}

test('Flexpa is not asked about a refresh token, which it could not be told as a bearer', async () => {
  const { source, requests } = await asked();
  expect(await source.introspect({ token: TOKEN, of: 'refresh_token', signal })).toEqual({ kind: 'unknown' });
  expect(requests).toEqual([]);
});

test('Flexpa revokes by the access token; without one nothing is confirmed and nothing sent', async () => {
  const { source, requests } = await asked();
  expect(await source.revoke({ accessToken: null, refreshToken: TOKEN, signal })).toBe('unconfirmed');
  expect(requests).toEqual([]);
  expect(await source.revoke({ accessToken: TOKEN, refreshToken: null, signal })).toBe('revoked');
});

test('neither a public token nor a refresh token goes to Flexpa when it may no longer be sent', async () => {
  const { source, requests } = await asked();
  const late = { signal, mayStillSend: () => false };
  const withheld = { kind: 'no_reply', reason: 'withheld', sent: false };
  expect(await source.refresh({ refreshToken: TOKEN, ...late })).toEqual(withheld);
  expect(await source.exchange?.({ publicToken: TOKEN, ...late })).toEqual(withheld);
  expect(requests).toEqual([]);
});
