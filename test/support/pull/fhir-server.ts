import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { pipeline, Readable } from 'node:stream';

/** What a request is answered with: a body, or pieces of one that are made as they go. */
export type Answer = {
  readonly status?: number;
  readonly body: string | Uint8Array | Iterable<Uint8Array>;
  readonly headers?: Readonly<Record<string, string>>;
};

/** A FHIR server on loopback that says what it is told to, and remembers what it was asked for. */
export type FhirServer = {
  readonly url: string;
  /** Path and query of each request for records, in their order, below the FHIR base. */
  readonly asked: readonly string[];
  /** Forgets what was asked so far. */
  readonly forget: () => void;
  readonly close: () => Promise<void>;
};

/** `answer` is given the path and query below the FHIR base; null is a 404. `searchable` names the types whose changes can be asked for. */
export async function startFhirServer({
  answer,
  searchable = () => [],
}: {
  readonly answer: (path: string) => Answer | null;
  readonly searchable?: () => readonly string[];
}): Promise<FhirServer> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const path = (request.url ?? '').replace(/^\/fhir\//, '');
    if (path === 'metadata') return send({ response, request, answer: { body: statementOf(searchable()) } });
    asked.push(path);
    const reply = answer(path) ?? { status: 404, body: '{"resourceType":"OperationOutcome","issue":[]}' };
    return send({ response, request, answer: reply });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    asked,
    forget: () => void asked.splice(0),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function send({
  response,
  request,
  answer: { status = 200, body, headers = {} },
}: {
  readonly response: ServerResponse;
  readonly request: IncomingMessage;
  readonly answer: Answer;
}): void {
  request.resume();
  response.writeHead(status, { 'content-type': 'application/fhir+json', ...headers });
  if (typeof body === 'string' || body instanceof Uint8Array) response.end(body);
  // The reader may hang up.
  else pipeline(Readable.from(body), response, () => undefined);
}

function statementOf(types: readonly string[]): string {
  const resource = types.map((type) => ({ type, searchParam: [{ name: '_lastUpdated' }] }));
  return JSON.stringify({ resourceType: 'CapabilityStatement', rest: [{ mode: 'server', resource }] });
}

/** A searchset of these resources, each exactly as given. */
export function bundleOf({
  resources,
  next,
  total,
}: {
  readonly resources: readonly string[];
  readonly next?: string;
  readonly total?: number;
}): string {
  const link = next === undefined ? '' : `,"link":[{"relation":"next","url":${JSON.stringify(next)}}]`;
  const count = total === undefined ? '' : `,"total":${total}`;
  const entries = resources.map((resource) => `{"resource":${resource}}`).join(',');
  return `{"resourceType":"Bundle","type":"searchset"${count}${link},"entry":[${entries}]}`;
}
