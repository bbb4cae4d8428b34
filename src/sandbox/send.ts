import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import type { Reply } from './reply.ts';

/** Sends a reply, after its delay (wall milliseconds), or breaks the connection where the reply says so. */
export async function send(
  response: ServerResponse,
  reply: Reply,
  options: { delayMs: number; signal: AbortSignal; head?: boolean },
): Promise<void> {
  if (options.delayMs > 0) await sleep(options.delayMs, undefined, { signal: options.signal });
  if (response.destroyed) return;
  if (reply.cut === 'before') {
    response.socket?.destroy();
    return;
  }
  const plain = typeof reply.body === 'string' ? Buffer.from(reply.body, 'utf8') : reply.body;
  const body = reply.gzip === true ? gzipSync(plain) : plain;
  const encoding = reply.gzip === true ? { 'content-encoding': 'gzip' } : {};
  if (reply.cut === 'middle') {
    sendHalf(response, { ...reply, headers: { ...reply.headers, ...encoding } }, body);
    return;
  }
  response.writeHead(reply.status, { ...reply.headers, ...encoding, 'content-length': body.length });
  response.end(body);
}

/** Half a body that looks whole: chunked and properly ended, so that only a look at the content can tell (contract 11). */
function sendHalf(response: ServerResponse, reply: Reply, body: Buffer): void {
  response.writeHead(reply.status, reply.headers);
  response.end(body.subarray(0, Math.floor(body.length / 2)));
}
