import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { get, grant, send, start, statsOf } from './support.ts';

describe('the directory', () => {
  it('pages by cursor to the end, and hides unavailable endpoints unless asked', async () => {
    const { url } = await start();
    const names: string[] = [];
    let cursor = '';
    for (;;) {
      const query = cursor === '' ? 'limit=3' : `limit=3&cursor=${cursor}`;
      const text = await (await fetch(`${url}/endpoints?${query}`)).text();
      const page: { data: { name: string }[]; meta: { hasMore: boolean; nextCursor: string | null } } =
        JSON.parse(text);
      names.push(...page.data.map((row) => row.name));
      expect(page.meta.hasMore).toBe(page.meta.nextCursor !== null);
      if (page.meta.nextCursor === null) break;
      cursor = page.meta.nextCursor;
    }
    expect(new Set(names).size).toBe(names.length);
    expect(names).not.toContain('sundown-dental');
    const all: { data: unknown[] } = JSON.parse(await (await fetch(`${url}/endpoints?includeUnavailable=true`)).text());
    expect(all.data).toHaveLength(names.length + 1);
  });

  it.each(['limit=0', 'limit=x', 'cursor=nowhere'])('refuses the page %s', async (query) => {
    const { url } = await start();
    expect((await fetch(`${url}/endpoints?${query}`)).status).toBe(400);
  });

  it('publishes the discovery documents of contract 1.9, whose token endpoints differ and both work', async () => {
    const { url } = await start();
    const tokenUrls = await Promise.all(
      ['oauth-authorization-server', 'openid-configuration', 'smart-configuration'].map(async (name) => {
        const document: { token_endpoint: string } = JSON.parse(
          await (await fetch(`${url}/.well-known/${name}`)).text(),
        );
        expect(document).not.toHaveProperty('introspection_endpoint');
        return document.token_endpoint;
      }),
    );
    expect(tokenUrls).toEqual([`${url}/oauth/token`, `${url}/oauth/token`, `${url}/link/token`]);
    expect(await (await fetch(`${url}/organizations`)).json()).toContainEqual(
      expect.objectContaining({ name: 'Meadowlark Health Plan', type: 'PAYER' }),
    );
  });
});

describe('bad input', () => {
  it.each([
    ['/link/exchange', '{"public_token":', 400],
    ['/link/exchange', '[]', 400],
    ['/link/exchange', '{"public_token":7,"secret_key":"x"}', 400],
    ['/link/exchange', 'null', 400],
    ['/link/token', '\u0000', 400],
    ['/link/revoke', '{}', 400],
    ['/sandbox/links', '{"usage":"TWICE","endpointId":"meadowlark-health-plan"}', 400],
    ['/sandbox/links', '{"usage":"MULTIPLE","endpointId":"nowhere"}', 404],
    ['/sandbox/links', '{"usage":"MULTIPLE","endpointId":"meadowlark-health-plan","knobs":{"goats":1}}', 400],
    ['/sandbox/patients/nobody/changes', '{}', 404],
    ['/link/exchange/more', '{}', 404],
    ['/%zz', '{}', 400],
  ])('answers POST %s %j with %i and keeps running', async (path, body, status) => {
    const { url } = await start();
    const reply = await fetch(`${url}${path}`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json' },
    });
    expect(reply.status).toBe(status);
    expect(await reply.json()).toMatchObject({
      statusCode: status,
      error: expect.any(String),
      message: expect.any(String),
    });
    expect((await fetch(`${url}/fhir/metadata`)).status).toBe(200);
  });

  it('names the field that is wrong and never its value', async () => {
    const { url } = await start();
    const reply = await send(`${url}/link/exchange`, 'POST', { public_token: 'hush', secret_key: { deep: 'whisper' } });
    const text = await reply.text();
    expect(text).toContain('secret_key');
    expect(text).not.toMatch(/hush|whisper/);
  });

  it('refuses an oversized body with 413 and a body of another type with 415', async () => {
    const { url } = await start();
    const large = await send(`${url}/link/exchange`, 'POST', { public_token: 'x'.repeat(1_000_000), secret_key: 'x' });
    expect(large.status).toBe(413);
    expect((await fetch(`${url}/link/exchange`, { method: 'POST', body: 'hello' })).status).toBe(415);
    expect((await fetch(`${url}/fhir/metadata`)).status).toBe(200);
  });

  it('cuts off a body far beyond the limit and keeps running', async () => {
    const { url } = await start();
    const body = { public_token: 'x'.repeat(12_000_000), secret_key: 'x' };
    const answer = await send(`${url}/link/exchange`, 'POST', body).then(
      (reply) => reply.status,
      () => 'cut off',
    );
    expect([413, 'cut off']).toContain(answer);
    expect((await fetch(`${url}/fhir/metadata`)).status).toBe(200);
  });

  it('changes nothing when one name in a knob call is unknown', async () => {
    const { url } = await start();
    const it = await grant(url);
    const reply = await send(`${url}/sandbox/knobs`, 'PUT', {
      global: { syncFails: true },
      authorizations: { nobody: {} },
    });
    expect(reply.status).toBe(404);
    expect((await get(`${url}/fhir/Patient`, it.access)).status).toBe(200);
  });

  it('survives raw nonsense on the socket', async () => {
    const { url } = await start();
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.on('error', () => undefined);
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.on('close', () => resolve());
    socket.on('data', () => undefined);
    socket.end('\u0016\u0003\u0001 not http at all\r\n\r\n');
    await promise;
    expect((await fetch(`${url}/fhir/metadata`)).status).toBe(200);
  });
});

describe('the process', () => {
  it('closes at once with a slow reply pending, and leaves no handle that keeps a process alive', async () => {
    const script = `
      import { startSandbox } from ${JSON.stringify(new URL('../../src/sandbox/server.ts', import.meta.url).href)};
      const clock = { now: () => 0, toWallMs: (ms) => ms };
      const { url, close } = await startSandbox({ seed: 1, clock, knobs: { slowTokenMs: 60_000 } });
      const headers = { 'content-type': 'application/json' };
      const body = JSON.stringify({ public_token: 'x', secret_key: 'sk_test_sandbox' });
      const pending = fetch(url + '/link/exchange', { method: 'POST', headers, body }).then(() => 'answered', () => 'cut');
      await new Promise((resolve) => setTimeout(resolve, 100));
      await close();
      process.stdout.write(await pending);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: 10_000,
    });
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += String(chunk);
    });
    const { promise, resolve } = Promise.withResolvers<number | null>();
    child.on('close', resolve);
    expect([await promise, output]).toEqual([0, 'cut']);
  });

  it('leaves unread records unwritten when the stats are asked without them', async () => {
    const { url } = await start();
    const { authorizationId } = await grant(url);
    const reply = await fetch(`${url}/sandbox/stats?authorization=${authorizationId}&records=false`);
    const text = await reply.text();
    expect(text).toContain('"alive":true');
    expect(text).not.toContain('resourcesSha256');
  });

  it('never shows a token in its stats', async () => {
    const { url } = await start();
    const it = await grant(url);
    const text = await (await fetch(`${url}/sandbox/stats`)).text();
    expect(text).not.toContain(it.access);
    expect(text).not.toContain(it.refresh);
    expect(await statsOf(url, it.authorizationId)).toMatchObject({ exchanges: 1, alive: true });
  });
});
