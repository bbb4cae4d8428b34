import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import type { Question } from './page-server.ts';

/*
 * Runs on a thread of its own: a server that shared the event loop with what is measured would be measured with it.
 */

const pages = new Map<string, Buffer>();
const sockets = new Set<Socket>();
const ended = { bytes: 0 };
const nothingNew = Buffer.from(JSON.stringify({ resourceType: 'Bundle', type: 'searchset', total: 0, link: [] }));

function capabilityOf(types: readonly string[]): Buffer {
  const resource = types.map((type) => ({ type, searchParam: [{ name: '_lastUpdated' }] }));
  return Buffer.from(JSON.stringify({ resourceType: 'CapabilityStatement', rest: [{ mode: 'server', resource }] }));
}

function replyTo(url: string): Buffer | null {
  return pages.get(url) ?? (url.includes('_lastUpdated=gt') ? nothingNew : null);
}

const server = createServer((request, response) => {
  const body = replyTo(request.url ?? '');
  if (body === null) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { 'content-type': 'application/fhir+json', 'content-length': body.length }).end(body);
});
const bytesOf = (socket: Socket): number => socket.bytesRead + socket.bytesWritten;
server.on('connection', (socket) => {
  sockets.add(socket);
  socket.on('close', () => {
    ended.bytes += bytesOf(socket);
    sockets.delete(socket);
  });
});

parentPort?.on('message', (question: Question) => {
  if (question.kind === 'serve') {
    for (const [url, bytes] of question.pages) pages.set(url, Buffer.from(bytes));
    pages.set('/fhir/metadata', capabilityOf(question.types));
  }
  const wireBytes = [...sockets].reduce((sum, socket) => sum + bytesOf(socket), ended.bytes);
  parentPort?.postMessage({ wireBytes });
});
server.listen(0, String(workerData), () => {
  const address: AddressInfo | string | null = server.address();
  parentPort?.postMessage({ port: typeof address === 'object' && address !== null ? address.port : 0 });
});
