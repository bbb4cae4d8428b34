import { createServer } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createClient, PerennialUnreachable } from '../../src/client.ts';
import { CANARIES, requestOf } from '../support/fake-service.ts';
import { INTAKE_KEY, KEY, READER_KEY, startWeb, type TestWeb } from '../support/web.ts';

let web: TestWeb;
beforeEach(async () => {
  web = await startWeb();
});
afterEach(() => web.close());

/** Answers every request the same way on a free port. */
async function answering(status: number, body: string, headers: Record<string, string> = {}) {
  let seen = 0;
  const server = createServer((_request, response) => {
    seen += 1;
    response.writeHead(status, headers).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const close = () => new Promise((resolve) => server.close(resolve));
  return { url: `http://127.0.0.1:${port}`, close, seen: () => seen };
}

test('enqueue, again, status, pull, cancel: the life of an authorization from another service', async () => {
  const client = createClient({ url: `${web.url}/`, apiKey: KEY });
  expect(await client.enqueue(requestOf('c-1'))).toEqual({ id: 'c-1', via: 'http', created: true });
  expect(await client.enqueue(requestOf('c-1'))).toEqual({ id: 'c-1', via: 'http', created: false });
  expect(await client.status('c-1')).toMatchObject({ id: 'c-1', state: 'active' });
  expect(await client.pull('c-1')).toMatchObject({ id: 'c-1' });
  expect(await client.cancel('c-1')).toEqual({ id: 'c-1', via: 'http' });
  expect(await client.status('c-1')).toMatchObject({ state: 'purging' });
  await client.close();
});

describe('errors', () => {
  test('what does not fit the contract is refused here, by field, and nothing is sent', async () => {
    const client = createClient({ url: web.url, apiKey: KEY });
    const both = requestOf('c-1', { publicToken: CANARIES[2] });
    const failure = await client.enqueue(both).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'invalid_request', field: 'accessToken does not go with publicToken' });
    expect(String(failure)).not.toMatch(/canary/);
    await expect(client.status('a@b.org')).rejects.toMatchObject({
      code: 'invalid_request',
      field: expect.stringMatching(/^id must be/),
    });
    expect(web.lines).toEqual([]);
    await client.close();
  });

  test("the API's refusals come back by their code", async () => {
    const client = createClient({ url: web.url, apiKey: KEY });
    await expect(client.status('none')).rejects.toMatchObject({ code: 'authorization_not_found' });
    await client.enqueue(requestOf('c-1'));
    await expect(client.enqueue(requestOf('c-1', { network: 'ONC_G10' }))).rejects.toMatchObject({
      code: 'authorization_conflict',
    });
    await client.close();
    const stranger = createClient({ url: web.url, apiKey: 'wrong' });
    await expect(stranger.status('c-1')).rejects.toMatchObject({ code: 'unauthenticated' });
    await stranger.close();
    const reader = createClient({ url: web.url, apiKey: READER_KEY });
    await expect(reader.pull('c-1')).rejects.toMatchObject({ code: 'forbidden', field: 'scope pull' });
    await reader.close();
  });

  test('on a dead port it says so in under 3 s, without the key or the request', async () => {
    const dead = await answering(200, '');
    await dead.close();
    const client = createClient({ url: dead.url, apiKey: 'canary-key' });
    const began = performance.now();
    const failure = await client.enqueue(requestOf('c-1')).catch((error: unknown) => error);
    expect(performance.now() - began).toBeLessThan(3_000);
    expect(failure).toBeInstanceOf(PerennialUnreachable);
    expect(Object.getOwnPropertyNames(failure)).not.toContain('cause');
    expect(JSON.stringify(failure)).not.toMatch(/canary/);
    await client.close();
  });

  test('a redirect is not followed, and an answer of somebody else is internal', async () => {
    const target = await answering(200, '{}');
    const lure = await answering(307, '', { location: target.url });
    const client = createClient({ url: lure.url, apiKey: KEY });
    await expect(client.enqueue(requestOf('c-1'))).rejects.toMatchObject({ code: 'internal' });
    expect([lure.seen(), target.seen()]).toEqual([1, 0]);
    const other = createClient({ url: target.url, apiKey: KEY });
    await expect(other.status('c-1')).rejects.toMatchObject({ code: 'internal' });
    await Promise.all([client.close(), other.close()]);
    await Promise.all([lure.close(), target.close()]);
  });

  test('options that do not fit are refused at once, by name and without their value', () => {
    const queue = { redisUrl: 'redis://127.0.0.1:1', workerKey: INTAKE_KEY, service: 'portal' };
    const cases: readonly [() => unknown, RegExp][] = [
      [() => createClient({ url: 'ftp://canary', apiKey: KEY }), /^url must be/],
      [() => createClient({ url: 'http://user:canary@host', apiKey: KEY }), /^url must be/],
      [() => createClient({ url: web.url, apiKey: 'canary\nkey' }), /^apiKey must be/],
      [() => createClient({ ...queue, redisUrl: 'http://canary' }), /^redisUrl must be/],
      [() => createClient({ ...queue, workerKey: { ...INTAKE_KEY, x: 'canary' } }), /^workerKey\.x must be/],
      [() => createClient({ ...queue, service: 'canary service' }), /^service must be/],
      [() => createClient({ ...queue, url: web.url }), /^apiKey is needed/],
    ];
    for (const [make, field] of cases) {
      try {
        make();
        expect.unreachable('it was taken');
      } catch (error) {
        expect(error).toMatchObject({ code: 'config_invalid', field: expect.stringMatching(field) });
        expect(String(error)).not.toContain('canary');
      }
    }
  });

  test('outcome belongs to the queue way and says what it needs', async () => {
    const client = createClient({ url: web.url, apiKey: KEY });
    await expect(client.outcome('1', { timeoutMs: 0 })).rejects.toMatchObject({
      code: 'config_invalid',
      field: expect.stringContaining('redisUrl'),
    });
    await client.close();
  });
});
