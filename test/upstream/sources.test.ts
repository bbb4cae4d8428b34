import { expect, onTestFinished, test } from 'vitest';
import { createSources } from '../../src/adapters/upstream/sources.ts';
import { Secret } from '../../src/core/secret.ts';
import { wholePage } from '../support/whole-page.ts';
import { answering, clockAt, flexpaConfigOf, rawServer, smartConfigOf, spend } from './raw-server.ts';

test('sources of both kinds take a fresh connection for each token request, and keep one for pages', async () => {
  const { url, requests } = await rawServer(answering(200, {}, '{"access_token":"a2"}'));
  const config = {
    flexpa: flexpaConfigOf({ baseUrl: url, publishableKey: 'pk', secretKey: 'sk' }),
    smart: smartConfigOf({ fhirBaseUrl: url, clientId: 'c', auth: { method: 'none' }, tokenUrl: `${url}/token` }),
  };
  const sources = createSources({ config, clock: clockAt(() => 0) });
  onTestFinished(sources.close);
  for (const name of sources.names()) {
    const source = sources.get(name);
    await source?.refresh({ refreshToken: new Secret('canary'), ...spend });
    if (source === undefined) throw new Error('no source');
    await wholePage(source, { url: `${url}/Patient`, accessToken: new Secret('canary'), signal: spend.signal });
  }
  const told = requests.map((request) => /^connection: (.*)$/im.exec(request)?.[1]);
  expect(told).toEqual(['close', 'keep-alive', 'close', 'keep-alive']);
});
