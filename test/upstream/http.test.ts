import { once } from 'node:events';
import { createServer } from 'node:net';
import { brotliCompressSync, constants, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { type Answer, answering, openHttp, rawServer, sendTo, textOf, whole } from './raw-server.ts';

const PAGE = JSON.stringify({ resourceType: 'Bundle', entry: Array.from({ length: 2_000 }, (_, id) => ({ id })) });
const GZIP = gzipSync(PAGE);
const none = (reason: string, sent = true) => ({ kind: 'none', reason, sent });

describe('a whole body', () => {
  test.each([
    ['plain', {}, PAGE],
    ['identity', { 'content-encoding': 'identity' }, PAGE],
    ['gzip', { 'content-encoding': 'gzip' }, GZIP],
    ['GZIP, in capitals', { 'Content-Encoding': ' GZIP ' }, GZIP],
    [
      'gzip of two members',
      { 'content-encoding': 'gzip' },
      Buffer.concat([gzipSync(PAGE.slice(0, 99)), gzipSync(PAGE.slice(99))]),
    ],
    ['brotli', { 'content-encoding': 'br' }, brotliCompressSync(PAGE)],
    ['deflate', { 'content-encoding': 'deflate' }, deflateSync(PAGE)],
    ['zstd', { 'content-encoding': 'zstd' }, zstdCompressSync(PAGE)],
  ])('%s is given as it was', async (_, headers, body) => {
    const { url } = await rawServer(answering(200, headers, body));
    const reply = await sendTo(openHttp(), url);
    expect(reply.kind === 'reply' ? textOf(reply.bytes) : reply).toBe(PAGE);
  });

  test('comes with its status and its headers by lower-case name, those that come twice joined', async () => {
    const { url } = await rawServer((socket) => {
      socket.write('HTTP/1.1 429 Too Many\r\nX-Retry-After: 3\r\nVary: a\r\nvary: b\r\nContent-Length: 0\r\n\r\n');
    });
    const reply = await sendTo(openHttp(), url);
    if (reply.kind === 'none') throw new Error(reply.reason);
    expect([reply.status, reply.headers.get('x-retry-after'), reply.headers.get('vary')]).toEqual([429, '3', 'a, b']);
  });
});

describe('a body that was cut short is no body', () => {
  const cut = (headers: Record<string, string>, body: Buffer, at: number): Answer =>
    answering(200, headers, body.subarray(0, at));
  const broken: readonly [string, Answer, readonly string[]][] = [
    ['gzip cut in the middle', cut({ 'content-encoding': 'gzip' }, GZIP, GZIP.length >> 1), ['cut_short']],
    ['gzip without its last byte', cut({ 'content-encoding': 'gzip' }, GZIP, GZIP.length - 1), ['cut_short']],
    ['gzip without its checksum', cut({ 'content-encoding': 'gzip' }, GZIP, GZIP.length - 8), ['cut_short']],
    ['gzip cut in its header', cut({ 'content-encoding': 'gzip' }, GZIP, 5), ['cut_short']],
    [
      'gzip with a wrong checksum',
      answering(200, { 'content-encoding': 'gzip' }, Buffer.concat([GZIP.subarray(0, -8), Buffer.alloc(8)])),
      ['cut_short'],
    ],
    ['what is not gzip at all', answering(200, { 'content-encoding': 'gzip' }, PAGE), ['cut_short']],
    [
      'brotli cut in the middle',
      cut({ 'content-encoding': 'br' }, brotliCompressSync(PAGE), brotliCompressSync(PAGE).length >> 1),
      ['cut_short'],
    ],
    ['deflate cut in the middle', cut({ 'content-encoding': 'deflate' }, deflateSync(PAGE), 200), ['cut_short']],
    ['zstd cut in the middle', cut({ 'content-encoding': 'zstd' }, zstdCompressSync(PAGE), 200), ['cut_short']],
    [
      'zstd with a window of 128 MiB, which HTTP does not allow',
      answering(
        200,
        { 'content-encoding': 'zstd' },
        // A length that is not told beforehand, or the frame has a small window after all.
        zstdCompressSync(Buffer.alloc(9 << 20), { params: { [constants.ZSTD_c_windowLog]: 27 } }),
      ),
      ['cut_short'],
    ],
    [
      'less than its content-length',
      (socket) => {
        socket.end(whole(200, { 'content-length': '99999' }, 'half'));
      },
      ['cut_short'],
    ],
    [
      'less than its content-length on a connection that was to be closed',
      (socket) => {
        socket.end(whole(200, { 'content-length': '99999', connection: 'close' }, 'half'));
      },
      ['cut_short'],
    ],
    [
      'chunks without the last one',
      (socket) => {
        socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n');
      },
      ['cut_short'],
    ],
    [
      'the same on a connection that was to be closed',
      (socket) => {
        socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n');
      },
      ['cut_short'],
    ],
    [
      'a chunk that is shorter than it says',
      (socket) => {
        socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf');
      },
      ['cut_short'],
    ],
    [
      'a connection reset in mid-body',
      (socket) => {
        socket.write(whole(200, { 'content-length': '99999' }, 'half'), () => socket.resetAndDestroy());
      },
      ['cut_short'],
    ],
    ['a connection closed before any answer', (socket) => socket.destroy(), ['connection']],
    ['what is not HTTP', (socket) => void socket.end('canary\r\n\r\n'), ['connection']],
  ];

  test.each(broken)('%s', async (_, answer, reasons) => {
    const { url } = await rawServer(answer);
    const reply = await sendTo(openHttp(), url);
    expect(reply.kind === 'none' && reasons.includes(reply.reason) ? 'no body' : reply).toBe('no body');
  });

  test('control: fetch takes a gzip body that was cut in the middle for a whole one', async () => {
    const { url } = await rawServer(cut({ 'content-encoding': 'gzip' }, GZIP, GZIP.length >> 1));
    const reply = await fetch(url);
    const text = await reply.text();
    // So it was on Node 20, 22 and 26.10; the day it throws here, the reason for our own reading is gone.
    expect([reply.status, text.length > 0 && text.length < PAGE.length, PAGE.startsWith(text)]).toEqual([
      200,
      true,
      true,
    ]);
  });
});

describe('an encoding that we did not ask for', () => {
  test.each(['compress', 'gzip, br', 'canary'])('%s is no body', async (encoding) => {
    const { url } = await rawServer(answering(200, { 'content-encoding': encoding }, zstdCompressSync(PAGE)));
    expect(await sendTo(openHttp(), url)).toEqual(none('connection'));
  });

  test('holds no connection: 100 of them do not keep the next request from its answer', async () => {
    const { url } = await rawServer((socket, request) => {
      const odd = request.startsWith('GET /odd');
      // A body long enough not to be read to its end by accident.
      socket.write(whole(200, odd ? { 'content-encoding': 'canary' } : {}, odd ? Buffer.alloc(300_000) : 'fine'));
    });
    const http = openHttp();
    await Promise.all(Array.from({ length: 100 }, () => sendTo(http, `${url}/odd`, { deadlineMs: null })));
    const reply = await sendTo(http, `${url}/next`, { deadlineMs: 2_000 });
    expect(reply.kind === 'reply' ? textOf(reply.bytes) : reply).toBe('fine');
  });
});

describe('no redirect is followed', () => {
  test.each([301, 302, 303, 307, 308])(
    '%i comes back as it is, and the place it names hears nothing',
    async (status) => {
      const elsewhere = await rawServer(answering(200, {}, 'canary'));
      const { url, requests } = await rawServer(answering(status, { location: elsewhere.url }, ''));
      const http = openHttp();
      for (const method of ['GET', 'POST'] as const) {
        const headers = { authorization: 'Bearer canary' };
        const reply = await sendTo(http, url, { method, headers, ...(method === 'POST' ? { body: 'canary' } : {}) });
        expect(reply).toMatchObject({ kind: 'reply', status });
      }
      expect(requests).toHaveLength(2);
      expect(elsewhere.requests).toEqual([]);
    },
  );

  test('control: fetch follows it', async () => {
    const elsewhere = await rawServer(answering(200, {}, 'canary'));
    const { url } = await rawServer(answering(302, { location: elsewhere.url }, ''));
    await fetch(url);
    expect(elsewhere.requests).toHaveLength(1);
  });
});

describe('bounds', () => {
  test.each([
    ['plain', {}, Buffer.alloc(10_001)],
    ['gzip that opens to it', { 'content-encoding': 'gzip' }, gzipSync(Buffer.alloc(10_001))],
    ['a bomb of 50 MB in 50 kB', { 'content-encoding': 'gzip' }, gzipSync(Buffer.alloc(50_000_000))],
    ['a brotli bomb', { 'content-encoding': 'br' }, brotliCompressSync(Buffer.alloc(50_000_000))],
  ])('one byte more than the limit is too large: %s', async (_, headers, body) => {
    const { url } = await rawServer(answering(200, headers, body));
    const http = openHttp();
    expect(await sendTo(http, url, { maxBytes: 10_000 })).toEqual(none('too_large'));
  });

  test('exactly the limit is taken', async () => {
    const { url } = await rawServer(answering(200, {}, Buffer.alloc(10_000)));
    expect(await sendTo(openHttp(), url, { maxBytes: 10_000 })).toMatchObject({ kind: 'reply' });
  });

  test('an endless body ends at the limit, and its connection with it', async () => {
    let ended = false;
    const { url } = await rawServer((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      const more = () => {
        if (!socket.destroyed) socket.write(`2710\r\n${'x'.repeat(10_000)}\r\n`, () => setImmediate(more));
      };
      socket.on('close', () => {
        ended = true;
      });
      more();
    });
    expect(await sendTo(openHttp(), url, { maxBytes: 100_000 })).toEqual(none('too_large'));
    await expect.poll(() => ended).toBe(true);
  });

  test('no head within its time is a timeout', async () => {
    const { url } = await rawServer(() => {});
    const began = performance.now();
    expect(await sendTo(openHttp(), url, { headersTimeoutMs: 300, deadlineMs: null })).toEqual(none('timeout'));
    // undici counts in steps of a second.
    expect(performance.now() - began).toBeLessThan(3_000);
  });

  test('a body that drips past the deadline is a timeout, however alive it looks', async () => {
    const { url } = await rawServer((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n');
      const drip = setInterval(() => socket.write('x'), 20);
      socket.on('close', () => clearInterval(drip));
    });
    const began = performance.now();
    expect(await sendTo(openHttp(), url, { deadlineMs: 200 })).toEqual(none('timeout'));
    expect(performance.now() - began).toBeLessThan(1_500);
  });

  /** Answers, and freezes this process until long after the deadline: the answer is with the kernel then. */
  const freezing: Answer = (socket) => {
    socket.write(whole(200, {}, 'a whole answer'));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600);
  };

  test('a process that was frozen past the deadline still takes the answer that lies in its socket', async () => {
    const { url } = await rawServer(freezing);
    expect(await sendTo(openHttp(), url, { deadlineMs: 300 })).toMatchObject({ kind: 'reply', status: 200 });
  });

  test('control: a deadline that does not look once more throws it away', async () => {
    const { url } = await rawServer(freezing);
    expect(await sendTo(openHttp(), url, { deadlineMs: null, signal: AbortSignal.timeout(300) })).toMatchObject({
      kind: 'none',
      sent: true,
    });
  });

  test('a request that is cancelled ends at once, before, on its way and in mid-body', async () => {
    const http = openHttp();
    const silent = await rawServer(() => {});
    expect(await sendTo(http, silent.url, { signal: AbortSignal.abort() })).toEqual(none('cancelled', false));
    expect(silent.requests).toEqual([]);
    const half = await rawServer((socket) => void socket.write(whole(200, { 'content-length': '99' }, 'half')));
    for (const { url } of [silent, half]) {
      const stop = new AbortController();
      const began = performance.now();
      const sending = sendTo(http, url, { signal: stop.signal, headersTimeoutMs: 60_000, deadlineMs: 60_000 });
      setTimeout(() => stop.abort(), 50);
      expect(await sending).toEqual(none('cancelled'));
      expect(performance.now() - began).toBeLessThan(2_000);
    }
  });

  test('a refused connection and a name that does not resolve are no connection', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    await new Promise((resolve) => server.close(resolve));
    const http = openHttp();
    expect(await sendTo(http, `http://127.0.0.1:${port}`)).toEqual(none('connection', false));
    expect(await sendTo(http, 'not a url')).toEqual(none('connection', false));
  });
});

test('a POST is sent once: after a lost answer there is no second try', async () => {
  const { url, requests } = await rawServer((socket) => socket.destroy());
  const http = openHttp();
  expect(await sendTo(http, url, { method: 'POST', body: 'grant_type=refresh_token' })).toEqual(none('connection'));
  expect(requests).toHaveLength(1);
});

test('an answer keeps nothing of one request for the next: no cookie comes back', async () => {
  const { url, requests } = await rawServer(answering(200, { 'set-cookie': 'session=canary' }, ''));
  const http = openHttp();
  for (let tries = 0; tries < 2; tries += 1) await sendTo(http, url);
  expect(requests.join('')).not.toContain('canary');
});
