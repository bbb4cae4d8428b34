import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { afterEach } from 'vitest';
import { ANYWHERE, type Reach } from '../../src/adapters/upstream/connect.ts';
import { createHttp, type Http, type HttpReply, type HttpRequest } from '../../src/adapters/upstream/http.ts';
import {
  type FlexpaSourceConfig,
  type SmartSourceConfig,
  sourcesSchema,
} from '../../src/adapters/upstream/source-config.ts';
import type { Source, SpendOptions } from '../../src/core/ports/upstream.ts';
import type { Secret } from '../../src/core/secret.ts';
import type { TokenReply } from '../../src/core/token-outcome.ts';

export { clockAt } from './clock.ts';

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

/** An agent of the adapter's, for pages unless said otherwise; closed after the test. */
export function openHttp({
  reuseConnections = true,
  reach = ANYWHERE,
}: {
  readonly reuseConnections?: boolean;
  readonly reach?: Reach;
} = {}): Http {
  const http = createHttp({ reuseConnections, reach });
  open.push(http.close);
  return http;
}

/** The two agents that a source is given. */
export function openHttps(): { readonly tokens: Http; readonly pages: Http } {
  return { tokens: openHttp({ reuseConnections: false }), pages: openHttp() };
}

/** A spending call that nothing ends and nobody withholds. */
export const spend: SpendOptions = { signal: new AbortController().signal, mayStillSend: () => true };

export async function exchange(source: Source, publicToken: Secret): Promise<TokenReply> {
  if (source.exchange === null) throw new Error('takes no public token');
  return source.exchange({ publicToken, ...spend });
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

export const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** A Flexpa source's settings as they come out of a file. */
export function flexpaConfigOf(settings: object): FlexpaSourceConfig {
  const { flexpa } = sourcesSchema.parse({ flexpa: { kind: 'flexpa', ...settings } });
  if (flexpa?.kind !== 'flexpa') throw new Error('no source');
  return flexpa;
}

/** A SMART source's settings as they come out of a file. */
export function smartConfigOf(settings: object): SmartSourceConfig {
  const { smart } = sourcesSchema.parse({ smart: { kind: 'smart', ...settings } });
  if (smart?.kind !== 'smart') throw new Error('no source');
  return smart;
}
