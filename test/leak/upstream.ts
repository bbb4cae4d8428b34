import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Canaries } from './canaries.ts';

/** A source whose every word about a patient is a canary, and which says it all again when it refuses. */
export type LeakyUpstream = {
  readonly url: string;
  /** A patient with tokens of an exchange done elsewhere. */
  readonly handedOut: () => Tokens;
  /** A patient with a public token. `refreshable` is what the exchange then gives. */
  readonly connected: (value: { readonly refreshable: boolean }) => { readonly publicToken: string };
  /** Requests that were refused by repeating them. */
  readonly echoes: () => number;
  readonly revoked: () => number;
  readonly close: () => Promise<void>;
};
type Tokens = { readonly accessToken: string; readonly refreshToken: string; readonly patient: string };
type Person = { readonly patient: string; readonly family: string; readonly refreshable: boolean };

/** Virtual seconds; a ONE_TIME authorization ends with its token. */
export const TOKEN_LIFE_S = 600;
/** Each kind of request is refused so often, by each patient, before it is served. */
const ECHOES = 1;

export async function startLeakyUpstream(canaries: Canaries): Promise<LeakyUpstream> {
  const people = new Map<string, Person>();
  const refused = new Map<string, number>();
  let [echoes, revoked] = [0, 0];
  const newPerson = (refreshable: boolean): Person => ({
    patient: canaries.new('patient'),
    family: canaries.new('family'),
    refreshable,
  });
  const issue = (person: Person) => {
    const [accessToken, refreshToken] = [canaries.new('access'), canaries.new('refresh')];
    people.set(accessToken, person).set(refreshToken, person);
    return { accessToken, refreshToken, patient: `Patient/${person.patient}` };
  };
  const grantFor = (person: Person) => {
    const { accessToken, refreshToken, patient } = issue(person);
    const refresh = person.refreshable ? { refresh_token: refreshToken, refresh_expires_in: 7_776_000 } : {};
    return { access_token: accessToken, expires_in: TOKEN_LIFE_S, ...refresh, patient };
  };
  const server = createServer(async (request, response) => {
    const body = await textOf(request);
    const path = request.url ?? '';
    const [token = ''] = [...people.keys()].filter((one) => `${request.headers.authorization} ${body}`.includes(one));
    const person = people.get(token);
    if (path.startsWith('/fhir/metadata')) return answer(response, 200, { resourceType: 'CapabilityStatement' });
    if (person === undefined) return answer(response, 401, echoOf(request, body));
    const kind = `${person.patient} ${path.replace(/[?].*/, '')}`;
    const nth = (refused.get(kind) ?? 0) + 1;
    refused.set(kind, nth);
    if (nth <= ECHOES || path.includes('/Condition')) {
      echoes += 1;
      return answer(response, path.includes('/Condition') ? 403 : 500, echoOf(request, body));
    }
    if (path.startsWith('/link/revoke')) {
      revoked += 1;
      return answer(response, 200, echoOf(request, body));
    }
    if (path.startsWith('/link/')) return answer(response, 200, grantFor(person));
    return answer(response, 200, bundleOf({ canaries, person, path, origin: `http://${request.headers.host}` }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    handedOut: () => issue(newPerson(true)),
    connected: ({ refreshable }) => {
      const publicToken = canaries.new('public');
      people.set(publicToken, newPerson(refreshable));
      return { publicToken };
    },
    echoes: () => echoes,
    revoked: () => revoked,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** A page of the patient's, and what does not belong on one: an outcome that talks, another patient's entry, one without an id. */
function bundleOf({
  canaries,
  person: { patient, family },
  path,
  origin,
}: {
  readonly canaries: Canaries;
  readonly person: Person;
  readonly path: string;
  readonly origin: string;
}): unknown {
  const subject = { reference: `Patient/${patient}` };
  const observation = { resourceType: 'Observation', id: canaries.new('observation'), subject };
  const resources: readonly unknown[] = path.includes('cursor=')
    ? [{ ...observation, note: [{ text: canaries.new('note') }] }]
    : [
        { resourceType: 'Patient', id: patient, name: [{ family }], birthDate: '1960-01-01' },
        { ...observation, valueString: canaries.new('value') },
        { resourceType: 'OperationOutcome', issue: [{ severity: 'warning', diagnostics: canaries.new('outcome') }] },
        { resourceType: 'Observation', note: [{ text: canaries.new('nameless') }] },
        { resourceType: 'Patient', id: canaries.new('stranger'), name: [{ family: canaries.new('stranger') }] },
      ];
  const paged = path.includes('everything') && !path.includes('cursor=');
  const next = {
    relation: 'next',
    url: `${origin}${path}${path.includes('?') ? '&' : '?'}cursor=${canaries.new('cursor')}`,
  };
  return {
    resourceType: 'Bundle',
    type: 'searchset',
    link: paged ? [next] : [],
    entry: resources.map((resource) => ({ resource })),
  };
}

function echoOf(request: IncomingMessage, body: string): unknown {
  const { authorization } = request.headers;
  const said = `you sent ${authorization} to ${request.url} with ${body}`;
  return {
    resourceType: 'OperationOutcome',
    error: 'server_error',
    error_description: said,
    issue: [{ diagnostics: said }],
  };
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  // Headers and reason phrases reach libraries' errors too.
  const echo = status >= 400 ? { 'x-echo': encodeURIComponent(text).slice(0, 4_000) } : {};
  response.writeHead(status, { 'content-type': 'application/json', ...echo }).end(text);
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString('utf8');
}
