import { createServer } from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';

/*
 * Runs on a thread of its own: a server that shared the event loop with what is measured would be measured with it.
 */

const EXPIRES_IN_S = 3_600;
const served = { requests: 0 };

/** A new pair each time, as a rotating server gives it. */
function grant(): string {
  const serial = String(served.requests).padStart(12, '0');
  return JSON.stringify({
    access_token: `access-${serial}-${'a'.repeat(64)}`,
    refresh_token: `refresh-${serial}-${'r'.repeat(64)}`,
    token_type: 'bearer',
    expires_in: EXPIRES_IN_S,
    refresh_expires_in: 0,
  });
}

const server = createServer((request, response) => {
  request.resume();
  request.on('end', () => {
    served.requests += 1;
    const body = grant();
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
  });
});

parentPort?.on('message', () => parentPort?.postMessage({ requests: served.requests }));
server.listen(0, String(workerData), () => {
  const address = server.address();
  parentPort?.postMessage({ port: typeof address === 'object' && address !== null ? address.port : 0 });
});
