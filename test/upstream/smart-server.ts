import { createSmartSource } from '../../src/adapters/upstream/smart.ts';
import type { Source } from '../../src/core/ports/upstream.ts';
import { type Answer, clockAt, openHttps, type RawServer, rawServer, smartConfigOf, whole } from './raw-server.ts';

export const NOW = Date.UTC(2026, 6, 1);
const DISCOVERY = 'GET /fhir/.well-known/smart-configuration ';

export type SmartServer = RawServer & {
  readonly fhirBaseUrl: string;
  /** The requests that were not for the discovery document, taken apart. */
  readonly calls: () => readonly ParsedRequest[];
  readonly discoveries: () => readonly ParsedRequest[];
};

export type ParsedRequest = {
  readonly line: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  readonly form: Readonly<Record<string, string>>;
};

/** A SMART server that speaks bytes: its document leads to `/token`, `/introspect` and `/revoke` beside the FHIR base. */
export async function smartServer(
  answer: Answer,
  documentAt: (url: string) => unknown = (url) => ({
    token_endpoint: `${url}/token`,
    introspection_endpoint: `${url}/introspect`,
    revocation_endpoint: `${url}/revoke`,
  }),
): Promise<SmartServer> {
  const server = await rawServer((socket, request) => {
    if (!request.startsWith(DISCOVERY)) return answer(socket, request);
    const document = documentAt(server.url);
    socket.write(whole(200, {}, typeof document === 'string' ? document : JSON.stringify(document)));
  });
  const parsed = (discovery: boolean) =>
    server.requests.filter((request) => request.startsWith(DISCOVERY) === discovery).map(parseRequest);
  return {
    ...server,
    fhirBaseUrl: `${server.url}/fhir`,
    calls: () => parsed(false),
    discoveries: () => parsed(true),
  };
}

export function parseRequest(request: string): ParsedRequest {
  const [head = '', body = ''] = request.split('\r\n\r\n');
  const [line = '', ...rest] = head.split('\r\n');
  const headers = rest.map((text) => {
    const colon = text.indexOf(': ');
    return [text.slice(0, colon).toLowerCase(), text.slice(colon + 2)] as const;
  });
  return { line, headers: new Map(headers), body, form: Object.fromEntries(new URLSearchParams(body)) };
}

/** A SMART source over agents that are closed after the test. */
export function smartAt(fhirBaseUrl: string, settings: object = {}, now: () => number = () => NOW): Source {
  const config = smartConfigOf({ fhirBaseUrl, clientId: 'client-1', auth: { method: 'none' }, ...settings });
  return createSmartSource({ name: 'smart', config, http: openHttps(), clock: clockAt(now) });
}
