import { createServer, type ServerResponse } from 'node:http';

/** How an endpoint treats us: well, with errors, with its quota, or not at all. */
export type Manner = 'well' | 'failing' | 'throttling' | 'hanging';

/** Many endpoints behind one server on loopback. A patient's id says at which one he is: `payer-3.17`. */
export type Endpoints = {
  readonly url: string;
  /** How often each endpoint was asked for records. */
  readonly asked: ReadonlyMap<string, number>;
  /** How many tokens were asked for; none is granted. */
  readonly tokensAsked: () => number;
  /** The patients whose records were sent, in their order. */
  readonly sent: readonly string[];
  /** How many requests each endpoint had under way at once, at most. */
  readonly most: ReadonlyMap<string, number>;
  readonly close: () => Promise<void>;
};

const RETRY_AFTER_S = 3_600;

/** `latencyMs` is how long a well endpoint takes for its answer. */
export async function startEndpoints({
  mannerOf,
  latencyMs,
}: {
  readonly mannerOf: (endpoint: string) => Manner;
  readonly latencyMs: number;
}): Promise<Endpoints> {
  const asked = new Map<string, number>();
  const most = new Map<string, number>();
  const now = new Map<string, number>();
  const sent: string[] = [];
  let tokensAsked = 0;
  const server = createServer((request, response) => {
    request.resume();
    if (request.method === 'POST') {
      tokensAsked += 1;
      return refuse(response, 503);
    }
    const [, patient, endpoint] = /^\/fhir\/Patient\/(([a-z0-9-]+)\.\d+)\//.exec(request.url ?? '') ?? [];
    if (patient === undefined || endpoint === undefined) return refuse(response, 404);
    asked.set(endpoint, (asked.get(endpoint) ?? 0) + 1);
    const under = (now.get(endpoint) ?? 0) + 1;
    now.set(endpoint, under);
    most.set(endpoint, Math.max(under, most.get(endpoint) ?? 0));
    response.once('close', () => now.set(endpoint, (now.get(endpoint) ?? 1) - 1));
    const manner = mannerOf(endpoint);
    if (manner === 'failing') return refuse(response, 503);
    if (manner === 'throttling') return refuse(response, 429, { 'retry-after': String(RETRY_AFTER_S) });
    if (manner === 'hanging') return undefined;
    return setTimeout(() => {
      response.writeHead(200, { 'content-type': 'application/fhir+json' });
      response.end(pageOf(patient), () => sent.push(patient));
    }, latencyMs);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    asked,
    tokensAsked: () => tokensAsked,
    sent,
    most,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function refuse(response: ServerResponse, status: number, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, headers);
  response.end('{}');
}

function pageOf(patient: string): string {
  const resource = { resourceType: 'Patient', id: patient, gender: 'unknown' };
  return JSON.stringify({ resourceType: 'Bundle', type: 'searchset', entry: [{ resource }] });
}
