import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { afterEach } from 'vitest';
import { createHttp, type Http, type HttpReply, type HttpRequest } from '../../src/adapters/upstream/http.ts';
import { type FlexpaSourceConfig, sourcesSchema } from '../../src/adapters/upstream/source-config.ts';
import type { Clock } from '../../src/core/ports/clock.ts';

const open: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

export type RawServer = {
  readonly url: string;
  /** Each request as it came over the wire: head and body. */
  readonly requests: string[];
};

/** Writes whatever it likes to a socket, once the whole request is there. */
export type Answer = (socket: Socket, request: string) => void;

/** A server on loopback that speaks bytes and not HTTP; closed after the test. */
export async function rawServer(answer: Answer): Promise<RawServer> {
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let text = '';
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const headEnd = text.indexOf('\r\n\r\n');
      const length = Number(/^content-length: (\d+)$/im.exec(text)?.[1] ?? 0);
      if (headEnd < 0 || text.length < headEnd + 4 + length) return;
      requests.push(text);
      text = '';
      answer(socket, requests.at(-1) ?? '');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const address = server.address();
  return { url: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`, requests };
}

/** A whole answer with its length. */
export function whole(status: number, headers: Readonly<Record<string, string>>, body: string | Uint8Array): Buffer {
  const bytes = Buffer.from(body);
  const lines = Object.entries({ 'content-length': String(bytes.length), ...headers }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${status} X\r\n${lines.join('\r\n')}\r\n\r\n`), bytes]);
}

export const answering =
  (status: number, headers: Readonly<Record<string, string>>, body: string | Uint8Array): Answer =>
  (socket) => {
    socket.write(whole(status, headers, body));
  };

/** The adapter's agent; closed after the test. */
export function openHttp(): Http {
  const http = createHttp();
  open.push(http.close);
  return http;
}

export function sendTo(http: Http, url: string, change: Partial<HttpRequest> = {}): Promise<HttpReply> {
  return http.send({
    method: 'GET',
    url,
    headers: {},
    maxBytes: 1_000_000,
    headersTimeoutMs: 5_000,
    deadlineMs: 5_000,
    signal: new AbortController().signal,
    ...change,
  });
}

export function clockAt(now: () => number): Clock {
  return {
    now,
    wallNow: now,
    toWall: (instant) => instant,
    fromWall: (wallMs) => wallMs,
    toWallMs: (durationMs) => durationMs,
    sleep: async () => {},
  };
}

export const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** A source's settings as they come out of a file. */
export function configOf(settings: object): FlexpaSourceConfig {
  const { flexpa } = sourcesSchema.parse({ flexpa: { kind: 'flexpa', ...settings } });
  if (flexpa === undefined) throw new Error('no source');
  return flexpa;
}
