import type { Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { ACCESS, opened, pagesWith, readAll } from './pages-at.ts';
import { type Answer, answering, rawServer, whole } from './raw-server.ts';

const MIB = 1024 * 1024;
const { signal: never } = new AbortController();

/** An answer of many MB that counts what the other side has taken, and knows when it hangs up. */
function flood(total: number, headers = '') {
  const seen = { taken: 0, closed: 0 };
  const part = Buffer.alloc(64 * 1024, 'x');
  const answer: Answer = (socket) => {
    socket.on('close', () => {
      seen.closed += 1;
    });
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n${headers}\r\n`);
    let left = total;
    const more = () => {
      if (left <= 0 || socket.destroyed) return;
      const piece = part.subarray(0, Math.min(left, part.length));
      left -= piece.length;
      socket.write(piece, (error) => {
        if (error) return;
        seen.taken += piece.length;
        more();
      });
    };
    more();
  };
  return { answer, seen };
}

const generous = { maxBytes: 1024 * MIB };

describe('a reader who stops', () => {
  test('stops the source: what it does not take is not sent', async () => {
    const { answer, seen } = flood(64 * MIB);
    const { url } = await rawServer(answer);
    const reading = opened(await pagesWith(generous).stream(url)).chunks[Symbol.asyncIterator]();
    await reading.next();
    // What fits into the buffers of two sockets and no more; it stands still once two looks see the same.
    let before = -1;
    await expect
      .poll(
        () => {
          const still = seen.taken === before;
          before = seen.taken;
          return still;
        },
        { interval: 200 },
      )
      .toBe(true);
    expect(seen.taken).toBeLessThan(24 * MIB);
    let size = 0;
    for (let next = await reading.next(); next.done !== true; next = await reading.next()) size += next.value.length;
    expect(seen.taken).toBe(64 * MIB);
    expect(size).toBeGreaterThan(63 * MIB);
  });

  test.each([
    [
      'leaves the loop',
      async (page: ReturnType<typeof opened>) => {
        for await (const _ of page.chunks) break;
      },
    ],
    [
      'throws in the loop',
      async (page: ReturnType<typeof opened>) => {
        await expect(
          (async () => {
            for await (const _ of page.chunks) throw new Error('mine');
          })(),
        ).rejects.toThrow('mine');
      },
    ],
    ['cancels before reading', async (page: ReturnType<typeof opened>) => page.cancel()],
    [
      'cancels twice',
      async (page: ReturnType<typeof opened>) => {
        page.cancel();
        page.cancel();
      },
    ],
  ])('%s: its connection is closed, plain or compressed, and nothing of it stays', async (_, leave) => {
    const plain = flood(64 * MIB);
    const packed = flood(64 * MIB, 'Content-Encoding: gzip\r\n');
    const first = gzipSync(Buffer.alloc(MIB));
    const { url } = await rawServer((socket, request) => {
      if (request.startsWith('GET /plain')) return plain.answer(socket, request);
      socket.on('close', () => {
        packed.seen.closed += 1;
      });
      socket.write(
        Buffer.concat([whole(200, { 'content-length': '99999999', 'content-encoding': 'gzip' }, ''), first]),
      );
    });
    const pages = pagesWith(generous);
    const before = handles();
    for (const path of ['/plain', '/gzip']) await leave(opened(await pages.stream(`${url}${path}`)));
    await expect.poll(() => [plain.seen.closed, packed.seen.closed]).toEqual([1, 1]);
    await expect.poll(handles).toBeLessThanOrEqual(before);
  });

  test('a page that was read to its end leaves its connection for the next one, and no timer', async () => {
    const sockets = new Set<Socket>();
    const { url } = await rawServer((socket) => {
      sockets.add(socket);
      socket.write(whole(200, {}, 'page'));
    });
    const pages = pagesWith({});
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = timers();
    for (let turn = 0; turn < 5; turn += 1) expect((await readAll(await pages.stream(url))).failure).toBeNull();
    // undici takes the old connection as soon as it is idle again, which may be a request later.
    expect(sockets.size).toBeLessThan(5);
    // One may be undici's own, for the idle connection.
    await expect.poll(() => timers() - before).toBeLessThanOrEqual(1);
  });
});

/** What keeps this process alive on the network; both ends of a connection are in it. */
function handles() {
  return process.getActiveResourcesInfo().filter((name) => name.startsWith('TCPSocket')).length;
}

describe('a page that is cancelled', () => {
  test.each(['by its signal', 'by its cancel'])(
    'in mid-read, %s, fails as cancelled and closes its connection',
    async (how) => {
      const { answer, seen } = flood(64 * MIB);
      const { url } = await rawServer(answer);
      const stop = new AbortController();
      const page = opened(await pagesWith(generous).stream(url, stop.signal));
      const reading = page.chunks[Symbol.asyncIterator]();
      await reading.next();
      if (how === 'by its signal') stop.abort();
      else page.cancel();
      await expect(reading.next()).rejects.toMatchObject({ name: 'PerennialError', code: 'cancelled' });
      await expect.poll(() => seen.closed).toBe(1);
    },
  );

  test('while its reader waits for the next piece, fails at once', async () => {
    const { url } = await rawServer((socket) => void socket.write(whole(200, { 'content-length': '99' }, 'half')));
    const stop = new AbortController();
    const reading = readAll(await pagesWith({}).stream(url, stop.signal));
    const began = performance.now();
    stop.abort();
    expect((await reading).failure).toEqual({ code: 'cancelled' });
    expect(performance.now() - began).toBeLessThan(1_000);
  });

  test('before it began, is not asked for', async () => {
    const { url, requests } = await rawServer(answering(200, {}, 'page'));
    expect(await pagesWith({}).stream(url, AbortSignal.abort())).toEqual({ kind: 'unavailable', reason: 'cancelled' });
    expect(requests).toEqual([]);
  });

  test('after its end, is a page all the same', async () => {
    const { url } = await rawServer(answering(200, {}, 'page'));
    const page = opened(await pagesWith({}).stream(url, never));
    expect(await readAll(page)).toEqual({ bytes: Buffer.from('page'), failure: null });
    page.cancel();
  });

  test('a hundred that were left do not keep the next one from its answer', async () => {
    const { url } = await rawServer((socket, request) => {
      if (request.startsWith('GET /left')) flood(64 * MIB).answer(socket, request);
      else socket.write(whole(200, {}, 'page'));
    });
    const pages = pagesWith(generous);
    const left = Array.from({ length: 100 }, async () => opened(await pages.stream(`${url}/left`)).cancel());
    await Promise.all(left);
    expect(await readAll(await pages.stream(`${url}/next`))).toMatchObject({ failure: null });
  });
});

describe('a refusal', () => {
  const outcome = JSON.stringify({ resourceType: 'OperationOutcome', issue: [{ code: 'transient' }] });

  test.each([
    ['401', 401, '', { kind: 'token_rejected' }],
    ['403', 403, '', { kind: 'type_refused' }],
    ['404', 404, '', { kind: 'not_found' }],
    ['429 that names its reason', 429, outcome, { kind: 'syncing', retryAfterMs: null }],
    ['503', 503, '', { kind: 'unavailable', reason: 'server_error' }],
    ['302', 302, '', { kind: 'unavailable', reason: 'redirect' }],
    ['401 with MBs of HTML', 401, 'x'.repeat(2 * MIB), { kind: 'token_rejected' }],
    ['500 with MBs of HTML', 500, 'x'.repeat(2 * MIB), { kind: 'unavailable', reason: 'server_error' }],
  ])('is judged as it is for a whole page: %s', async (_, status, body, reply) => {
    const { url } = await rawServer(answering(status, {}, body));
    const pages = pagesWith({});
    expect(await pages.stream(url)).toEqual(reply);
    expect(await pages.whole(url)).toEqual(reply);
  });

  test('whose text never ends is a timeout, and one without an answer says why', async () => {
    const { url } = await rawServer((socket) => void socket.write(whole(401, { 'content-length': '99' }, 'half')));
    expect(await pagesWith({ bodyIdleTimeoutMs: 200 }).stream(url)).toEqual({ kind: 'unavailable', reason: 'timeout' });
    for (const nowhere of ['http://127.0.0.1:1', 'not a url']) {
      expect(await pagesWith({}).stream(nowhere)).toEqual({ kind: 'unavailable', reason: 'connection' });
    }
    expect(JSON.stringify(ACCESS)).not.toContain('canary');
  });
});
