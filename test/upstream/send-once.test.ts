import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { HttpReply } from '../../src/adapters/upstream/http.ts';
import { sendOnce } from '../../src/adapters/upstream/send-once.ts';
import { answering, openHttp, rawServer, sendTo, whole } from './raw-server.ts';

const BODY = 'grant_type=refresh_token&refresh_token=canary';
const post = { method: 'POST', body: BODY } as const;
const tokens = () => openHttp({ reuseConnections: false });

/** A server that counts what reaches it, byte by byte, and answers nothing unless told. */
async function listening(onConnection: (socket: Socket) => void = () => {}) {
  const seen = { connections: 0, bytes: Buffer.from('') };
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    seen.connections += 1;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      seen.bytes = Buffer.concat([seen.bytes, chunk]);
    });
    onConnection(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { seen, host: `127.0.0.1:${port}`, closed: () => expect.poll(() => [...sockets].every((s) => s.destroyed)) };
}

describe('a request that may no longer be sent', () => {
  test('puts not a byte on the wire, though its connection stands', async () => {
    const { seen, host, closed } = await listening();
    const mayStillSend = () => false;
    const reply = await sendTo(tokens(), `http://${host}`, { ...post, mayStillSend });
    expect(reply).toEqual({ kind: 'none', reason: 'withheld', sent: false });
    await expect.poll(() => seen.connections).toBe(1);
    await closed().toBe(true);
    expect(seen.bytes.toString()).toBe('');
  });

  test('control: one that may is on the wire, whole and with its length', async () => {
    const { seen, host } = await listening();
    let asked = 0;
    const stop = new AbortController();
    const sending = sendTo(tokens(), `http://${host}`, {
      ...post,
      signal: stop.signal,
      mayStillSend: () => {
        asked += 1;
        return true;
      },
    });
    await expect.poll(() => seen.bytes.toString()).toContain('canary');
    stop.abort();
    expect(await sending).toEqual({ kind: 'none', reason: 'cancelled', sent: true });
    expect(asked).toBe(1);
    expect(seen.bytes.toString()).toMatch(new RegExp(`content-length: ${BODY.length}\r\n`, 'i'));
    expect(seen.bytes.toString().toLowerCase()).not.toContain('transfer-encoding');
  });

  test('is not asked about before the connection stands: neither while TLS is under way nor where nobody listens', async () => {
    const { seen, host } = await listening();
    let asked = 0;
    const mayStillSend = () => {
      asked += 1;
      return true;
    };
    const stop = new AbortController();
    const sending = sendTo(tokens(), `https://${host}`, { ...post, mayStillSend, signal: stop.signal });
    await expect.poll(() => seen.bytes.length).toBeGreaterThan(100);
    stop.abort();
    expect(await sending).toEqual({ kind: 'none', reason: 'cancelled', sent: false });
    await sendTo(tokens(), 'http://127.0.0.1:1', { ...post, mayStillSend });
    expect(asked).toBe(0);
  });

  test('is withheld, too, where the sender fails to say', async () => {
    const { seen, host } = await listening();
    const mayStillSend = () => {
      throw new Error('canary');
    };
    const reply = await sendTo(tokens(), `http://${host}`, { ...post, mayStillSend });
    expect(reply).toEqual({ kind: 'none', reason: 'connection', sent: false });
    expect(seen.bytes.toString()).toBe('');
  });

  test('is withheld for a body-less request too', async () => {
    const { seen, host } = await listening();
    const reply = await sendTo(openHttp(), `http://${host}`, { mayStillSend: () => false });
    expect(reply).toEqual({ kind: 'none', reason: 'withheld', sent: false });
    expect(seen.bytes.toString()).toBe('');
  });
});

describe('whether anything was sent', () => {
  test.each([
    ['a refused connection', 'http://127.0.0.1:1'],
    ['an address that is none', 'not a url'],
    ['a name that does not resolve', 'http://nowhere.invalid'],
  ])('not after %s', async (_, url) => {
    expect(await sendTo(tokens(), url, post)).toEqual({ kind: 'none', reason: 'connection', sent: false });
  });

  test('not where TLS fails, however the token would have been protected', async () => {
    const { seen, host } = await listening((socket) => socket.end('this is no TLS\r\n'));
    const reply = await sendTo(tokens(), `https://${host}`, post);
    expect(reply).toEqual({ kind: 'none', reason: 'connection', sent: false });
    expect(seen.bytes.includes('canary')).toBe(false);
  });

  test('not where the deadline passes while TLS hangs, and the caller learns it at once', async () => {
    const { host } = await listening();
    const began = performance.now();
    const reply = await sendTo(tokens(), `https://${host}`, { ...post, deadlineMs: 200 });
    expect(reply).toEqual({ kind: 'none', reason: 'timeout', sent: false });
    expect(performance.now() - began).toBeLessThan(3_000);
  });

  test('not where the caller had given up before', async () => {
    const { seen, host } = await listening();
    const reply = await sendTo(tokens(), `http://${host}`, { ...post, signal: AbortSignal.abort() });
    expect(reply).toEqual({ kind: 'none', reason: 'cancelled', sent: false });
    expect(seen.bytes.toString()).toBe('');
  });

  test.each([
    ['a reply is lost', (socket: Socket) => socket.destroy()],
    ['the connection is reset', (socket: Socket) => socket.resetAndDestroy()],
    ['the reply is no HTTP', (socket: Socket) => socket.end('canary\r\n\r\n')],
    ['the reply is cut', (socket: Socket) => socket.end(whole(200, { 'content-length': '99' }, 'half'))],
  ])('surely where %s after the request arrived', async (_, answer) => {
    const { url, requests } = await rawServer((socket) => void answer(socket));
    expect(await sendTo(tokens(), url, post)).toMatchObject({ kind: 'none', sent: true });
    expect(requests).toHaveLength(1);
  });
});

describe('a connection that the other side has given up', () => {
  /** Answers the first request on each connection and drops the second unread, as a load balancer does that has forgotten it. */
  async function forgetful() {
    const server = await rawServer((socket, request) => {
      if (seen.has(socket)) return void socket.destroy();
      seen.add(socket);
      if (request.startsWith('POST')) socket.write(whole(200, {}, '{}'));
    });
    const seen = new Set<Socket>();
    return { ...server, seen };
  }

  test('costs no token: each token request takes a fresh one, and says so', async () => {
    const { url, requests, seen } = await forgetful();
    const http = tokens();
    for (let turn = 0; turn < 3; turn += 1) {
      expect(await sendTo(http, url, post)).toMatchObject({ kind: 'reply', status: 200 });
    }
    expect([requests.length, seen.size]).toEqual([3, 3]);
    expect(requests.every((request) => /^connection: close$/im.test(request))).toBe(true);
  });

  test('control: where connections are reused, a request is lost in it; and not even that one is sent again', async () => {
    const { url, requests } = await forgetful();
    const http = openHttp({ reuseConnections: true });
    let sent = 0;
    let lost: HttpReply | null = null;
    // undici takes the old connection as soon as it is idle again, which may be a request later.
    for (; sent < 40 && lost === null; sent += 1) {
      const reply = await sendTo(http, url, post);
      if (reply.kind === 'none') lost = reply;
    }
    expect(lost).toEqual({ kind: 'none', reason: 'connection', sent: true });
    expect(requests).toHaveLength(sent);
  });

  test('is left, once closed, and the next request goes out once on another', async () => {
    const { url, requests } = await rawServer((socket) => void socket.end(whole(200, {}, '{}')));
    const http = openHttp({ reuseConnections: true });
    for (let turn = 0; turn < 3; turn += 1) {
      expect(await sendTo(http, url, post)).toMatchObject({ kind: 'reply', status: 200 });
    }
    expect(requests).toHaveLength(3);
  });
});

test('a request that undici announces a second time, to send it again, is refused', () => {
  const passage = { sent: false };
  const refusals: (Error | null)[] = [];
  const announced = sendOnce({ mayStillSend: () => true, passage })((_options, handler) => {
    for (let turn = 0; turn < 2; turn += 1) {
      let refusal: Error | null = null;
      const controller = {
        aborted: false,
        paused: false,
        reason: null,
        pause: () => {},
        resume: () => {},
        abort: (reason: Error) => {
          refusal = reason;
        },
      };
      handler.onRequestStart?.(controller, null);
      refusals.push(refusal);
    }
    return true;
  });
  announced({ path: '/token', method: 'POST' }, {});
  expect([passage.sent, refusals]).toEqual([true, [null, expect.any(Error)]]);
});

test('HTTP/2, over which undici sends requests again by itself, is not offered', async () => {
  const { seen, host } = await listening();
  const stop = new AbortController();
  const sending = sendTo(tokens(), `https://${host}`, { ...post, signal: stop.signal });
  await expect.poll(() => seen.bytes.includes('http/1.1')).toBe(true);
  stop.abort();
  await sending;
  expect(seen.bytes.includes(Buffer.from('\u0002h2'))).toBe(false);
});

test('a throttled token endpoint that says nothing of time is asked once', async () => {
  const { url, requests } = await rawServer(answering(429, {}, ''));
  expect(await sendTo(tokens(), url, post)).toMatchObject({ kind: 'reply', status: 429 });
  expect(requests).toHaveLength(1);
});
