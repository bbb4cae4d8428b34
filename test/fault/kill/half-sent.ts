import { once } from 'node:events';
import { request as startRequest } from 'node:http';
import { connect } from 'node:net';
import type { Order } from './orders.ts';

type Spend = { readonly tokenEndpoint: Order['tokenEndpoint']; readonly refreshToken: string };

/** Writes the first bytes of a refresh, chosen by `upTo`, and resolves when they have left the process. */
export async function sendPart({
  spend,
  upTo,
}: {
  readonly spend: Spend;
  readonly upTo: (length: { readonly head: number; readonly all: number }) => number;
}): Promise<void> {
  const { host, hostname, port, pathname } = new URL(spend.tokenEndpoint.url);
  const { headers, body } = requestOf(spend);
  const lines = Object.entries({ host, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `POST ${pathname} HTTP/1.1\r\n${lines.join('')}\r\n`;
  const bytes = Buffer.from(head + body);
  const socket = connect({ host: hostname, port: Number(port) });
  await once(socket, 'connect');
  await new Promise<void>((resolve) => {
    socket.write(bytes.subarray(0, upTo({ head: head.length, all: bytes.length })), () => resolve());
  });
}

/** Sends a whole refresh and resolves when the head of its answer is there: the server has committed, and nobody has read the pair. */
export async function sendAndHearHead(spend: Spend): Promise<void> {
  const { headers, body } = requestOf(spend);
  const sent = startRequest(spend.tokenEndpoint.url, { method: 'POST', headers });
  sent.end(body);
  await once(sent, 'response');
}

function requestOf({ tokenEndpoint: { authorization }, refreshToken }: Spend) {
  const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken }).toString();
  const type = 'application/x-www-form-urlencoded';
  return { headers: { authorization, 'content-type': type, 'content-length': String(body.length) }, body };
}
