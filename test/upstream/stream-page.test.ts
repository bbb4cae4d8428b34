import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { brotliCompressSync, constants, createGzip, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { PerennialError } from '../../src/core/errors.ts';
import { opened, pagesWith, readAll } from './pages-at.ts';
import { type Answer, answering, rawServer, whole } from './raw-server.ts';

const PAGE = Buffer.from(
  JSON.stringify({ resourceType: 'Bundle', entry: Array.from({ length: 9_000 }, (_, id) => ({ id })) }),
);
const GZIP = gzipSync(PAGE);
const HEAD = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n';
const chunk = (bytes: Uint8Array) =>
  Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);

describe('a page as it arrives', () => {
  test.each([
    ['plain', {}, PAGE],
    ['gzip', { 'content-encoding': 'gzip' }, GZIP],
    ['deflate', { 'content-encoding': 'deflate' }, deflateSync(PAGE)],
    ['brotli', { 'content-encoding': 'br' }, brotliCompressSync(PAGE)],
    ['zstd', { 'content-encoding': 'zstd' }, zstdCompressSync(PAGE)],
  ])('%s: is what it is as a whole', async (_, headers, body) => {
    const { url } = await rawServer(answering(200, headers, body));
    const pages = pagesWith({});
    const page = await pages.stream(url);
    expect(page).toMatchObject({ kind: 'page', status: 200 });
    expect(await readAll(page)).toEqual({ bytes: PAGE, failure: null });
    const other = await pages.whole(url);
    expect(other.kind === 'page' && PAGE.equals(other.bytes)).toBe(true);
  });

  test.each(['plain', 'gzip'])('%s: its first part is here before its second has been sent', async (encoding) => {
    const gone = Promise.withResolvers<Socket>();
    const gzip = createGzip();
    const parts = encoding === 'gzip' ? gzip : null;
    const { url } = await rawServer((socket) => {
      socket.write(`${HEAD}${parts === null ? '' : 'Content-Encoding: gzip\r\n'}\r\n`);
      if (parts === null) socket.write(chunk(Buffer.from('first')));
      else {
        parts.on('data', (data: Buffer) => socket.write(chunk(data)));
        parts.write('first');
        parts.flush();
      }
      gone.resolve(socket);
    });
    const iterator = opened(await pagesWith({}).stream(url)).chunks[Symbol.asyncIterator]();
    expect(await iterator.next()).toMatchObject({ value: Buffer.from('first') });
    const socket = await gone.promise;
    if (parts === null) socket.write(chunk(Buffer.from('second')));
    else {
      parts.end('second');
      await once(parts, 'end');
    }
    socket.write('0\r\n\r\n');
    expect(await iterator.next()).toMatchObject({ value: Buffer.from('second') });
    expect(await iterator.next()).toMatchObject({ done: true });
  });
});

describe('a page that breaks off gives what came and then fails', () => {
  const half = PAGE.subarray(0, PAGE.length >> 1);
  const cuts: readonly [string, Answer][] = [
    ['gzip cut in the middle', answering(200, { 'content-encoding': 'gzip' }, GZIP.subarray(0, GZIP.length >> 1))],
    ['gzip without its last byte', answering(200, { 'content-encoding': 'gzip' }, GZIP.subarray(0, -1))],
    [
      'gzip with a wrong checksum',
      answering(200, { 'content-encoding': 'gzip' }, Buffer.concat([GZIP.subarray(0, -8), Buffer.alloc(8)])),
    ],
    [
      'brotli without its last byte',
      answering(200, { 'content-encoding': 'br' }, brotliCompressSync(PAGE).subarray(0, -1)),
    ],
    [
      'zstd without its last byte',
      answering(200, { 'content-encoding': 'zstd' }, zstdCompressSync(PAGE).subarray(0, -1)),
    ],
    [
      'deflate without its last byte',
      answering(200, { 'content-encoding': 'deflate' }, deflateSync(PAGE).subarray(0, -1)),
    ],
    [
      'less than its content-length',
      (socket) => void socket.end(whole(200, { 'content-length': String(PAGE.length) }, half)),
    ],
    [
      'chunks without the last one',
      (socket) => void socket.end(Buffer.concat([Buffer.from(`${HEAD}\r\n`), chunk(half)])),
    ],
    [
      'the same on a connection that was to be closed',
      (socket) => void socket.end(Buffer.concat([Buffer.from(`${HEAD}Connection: close\r\n\r\n`), chunk(half)])),
    ],
    [
      'a connection that is reset',
      (socket) => {
        socket.write(whole(200, { 'content-length': String(PAGE.length) }, half), () => socket.resetAndDestroy());
      },
    ],
    ['a chunk that is no chunk', (socket) => void socket.end(`${HEAD}\r\n4\r\nhalf\r\ncanary\r\n`)],
  ];

  test.each(cuts)('%s', async (_, answer) => {
    const { url } = await rawServer(answer);
    const pages = pagesWith({});
    const { bytes, failure } = await readAll(await pages.stream(url));
    expect(failure).toEqual({ code: 'upstream_cut_short' });
    expect(PAGE.subarray(0, bytes.length).equals(bytes) || bytes.toString() === 'half').toBe(true);
    expect(await pages.whole(url)).toEqual({ kind: 'unavailable', reason: 'cut_short' });
  });

  test('control: read without a look at its end, the half would be taken for a page', async () => {
    const { url } = await rawServer(answering(200, { 'content-encoding': 'gzip' }, GZIP.subarray(0, GZIP.length >> 1)));
    const text = await (await fetch(url)).text();
    expect(text.length > 0 && text.length < PAGE.length).toBe(true);
  });

  test('and nothing of it is told', async () => {
    const { url } = await rawServer((socket) => void socket.end(`${HEAD}\r\n4\r\nhalf\r\ncanary\r\n`));
    const reading = opened(await pagesWith({}).stream(url)).chunks[Symbol.asyncIterator]();
    await reading.next();
    const error: unknown = await reading.next().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(PerennialError);
    expect(inspect(error, { depth: null, showHidden: true })).not.toContain('canary');
  });
});

describe('time', () => {
  /** Sends a byte each `everyMs` until the connection closes. */
  const dripping =
    (everyMs: number, head = whole(200, { 'content-length': '1000000' }, '')): Answer =>
    (socket) => {
      socket.write(head);
      const drip = setInterval(() => socket.write('x'), everyMs);
      socket.on('close', () => clearInterval(drip));
    };

  test('a body that goes silent is a timeout', async () => {
    const { url } = await rawServer((socket) => void socket.write(whole(200, { 'content-length': '99' }, 'half')));
    const read = await readAll(await pagesWith({ bodyIdleTimeoutMs: 200 }).stream(url));
    expect(read).toEqual({ bytes: Buffer.from('half'), failure: { code: 'upstream_timeout' } });
  });

  test.each([
    ['as it is', {}],
    ['compressed', { 'content-encoding': 'br' }],
  ])('a body that drips a byte now and then, never idle, ends at the deadline: %s', async (_, headers) => {
    const { url } = await rawServer(dripping(20, whole(200, { 'content-length': '1000000', ...headers }, '')));
    const began = performance.now();
    const { failure } = await readAll(await pagesWith({ bodyIdleTimeoutMs: 5_000, deadlineMs: 400 }).stream(url));
    // Dripped bytes of brotli soon make no sense, which is an end too.
    expect(['upstream_timeout', 'upstream_cut_short']).toContain(failure?.code);
    expect(performance.now() - began).toBeLessThan(3_000);
  });

  test('a head that never ends, a byte at a time, is a timeout', async () => {
    const { url } = await rawServer(dripping(10, Buffer.from('HTTP/1.1 200 OK\r\nX: ')));
    const page = await pagesWith({ headersTimeoutMs: 300 }).stream(url);
    expect(page).toEqual({ kind: 'unavailable', reason: 'timeout' });
  });

  test('an answer that is announced again and again and never given ends by number', async () => {
    const { url } = await rawServer((socket) => {
      const again = setInterval(() => socket.write('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'), 10);
      socket.on('close', () => clearInterval(again));
    });
    expect(await pagesWith({}).stream(url)).toEqual({ kind: 'unavailable', reason: 'too_large' });
  });

  test('one that is announced twice is a page', async () => {
    const { url } = await rawServer((socket) => {
      socket.write('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(2));
      socket.write(whole(200, {}, 'page'));
    });
    expect(await readAll(await pagesWith({}).stream(url))).toEqual({ bytes: Buffer.from('page'), failure: null });
  });

  test('a reader may take its time: only the source can be idle', async () => {
    const { url } = await rawServer(answering(200, {}, Buffer.alloc(900_000)));
    let size = 0;
    for await (const part of opened(await pagesWith({ bodyIdleTimeoutMs: 100 }).stream(url)).chunks) {
      if (size === 0) await sleep(500);
      size += part.length;
    }
    expect(size).toBe(900_000);
  });
});

describe('size', () => {
  const zeros =
    (head: string, each: Buffer): Answer =>
    (socket) => {
      socket.write(head);
      // A connection that was reset fails each write before the next turn of the loop, in which it is destroyed.
      const more = (error?: Error | null) => {
        if (!error && !socket.destroyed) socket.write(each, more);
      };
      more();
    };

  test.each([
    ['a body', 'HTTP/1.1 200 OK\r\n\r\n', Buffer.alloc(10_000), { code: 'upstream_too_large', field: 'pageMaxBytes' }],
    [
      'a body of chunks',
      `${HEAD}\r\n`,
      chunk(Buffer.alloc(10_000)),
      { code: 'upstream_too_large', field: 'pageMaxBytes' },
    ],
    [
      'a compressed body that opens to nothing',
      'HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\n\r\n\x78\x01',
      // Stored blocks of no bytes.
      Buffer.concat(Array.from({ length: 2_000 }, () => Buffer.from([0, 0, 0, 0xff, 0xff]))),
      { code: 'upstream_too_large', field: 'pageMaxBytes' },
    ],
    ['the extension of a chunk', `${HEAD}\r\n5;`, Buffer.alloc(10_000, 'x'), { code: 'upstream_timeout' }],
    [
      'the trailers',
      `${HEAD}\r\n5\r\nwhole\r\n0\r\n`,
      Buffer.from(`x-a: ${'x'.repeat(1_000)}\r\n`),
      { code: 'upstream_too_large' },
    ],
  ])('%s without end ends at its limit, and its connection with it', async (_, head, each, failure) => {
    const closed = Promise.withResolvers<void>();
    const { url } = await rawServer((socket, request) => {
      socket.on('close', () => closed.resolve());
      zeros(head, each)(socket, request);
    });
    expect((await readAll(await pagesWith({ bodyIdleTimeoutMs: 500 }).stream(url))).failure).toEqual(failure);
    await closed.promise;
  });

  test('headers without end end at their limit', async () => {
    const { url } = await rawServer(zeros('HTTP/1.1 200 OK\r\n', Buffer.from(`x-a: ${'x'.repeat(1_000)}\r\n`)));
    expect(await pagesWith({}).stream(url)).toEqual({ kind: 'unavailable', reason: 'too_large' });
  });

  test('10 GB announced are not even begun, by the limits of production', async () => {
    const { url } = await rawServer(answering(200, { 'content-length': '10000000000' }, 'canary'));
    const read = await readAll(await pagesWith().stream(url));
    expect(read).toEqual({ bytes: Buffer.alloc(0), failure: { code: 'upstream_too_large', field: 'pageMaxBytes' } });
  });

  test.each([
    ['gzip', gzipSync],
    ['brotli', brotliCompressSync],
    ['zstd', (bytes: Buffer) => zstdCompressSync(bytes, { params: { [constants.ZSTD_c_windowLog]: 20 } })],
  ])('a %s bomb ends after its first MB, by the limits of production', async (encoding, compress) => {
    const headers = { 'content-encoding': encoding === 'brotli' ? 'br' : encoding };
    const { url } = await rawServer(answering(200, headers, compress(Buffer.alloc(100_000_000))));
    const { bytes, failure } = await readAll(await pagesWith().stream(url));
    expect(failure).toEqual({ code: 'upstream_too_large', field: 'expansionMax' });
    expect(bytes.length).toBeLessThan(20_000_000);
  });

  test('exactly the limit is a page, also one that a small page of blanks is', async () => {
    const body = gzipSync(Buffer.alloc(1_000_000));
    const { url } = await rawServer(answering(200, { 'content-encoding': 'gzip' }, body));
    const { bytes, failure } = await readAll(await pagesWith({ maxBytes: 1_000_000 }).stream(url));
    expect([bytes.length, failure]).toEqual([1_000_000, null]);
  });
});
