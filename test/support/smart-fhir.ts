import type { IncomingMessage, ServerResponse } from 'node:http';

export type Resource = {
  readonly resourceType: string;
  readonly id: string;
  readonly subject?: { readonly reference: string };
  readonly patient?: { readonly reference: string };
  readonly [field: string]: unknown;
};

/** Types that the server knows; a search for another one is a 404, as of servers that do not have it. */
const TYPES: ReadonlySet<string> = new Set(['Patient', 'Condition', 'Observation', 'Immunization']);

/**
 * The FHIR half of a SMART server: its discovery document, and searches that show a bearer its own patient only. Each patient has a Patient and a
 * Condition from the start.
 */
export function createFhir({
  baseUrl,
  endpoints,
  patientOf,
}: {
  readonly baseUrl: string;
  readonly endpoints: object;
  readonly patientOf: (token: string) => Promise<string | null>;
}) {
  const resources = new Map<string, Resource>();
  const put = (resource: Resource): void => {
    resources.set(`${resource.resourceType}/${resource.id}`, resource);
  };
  const seen = new Set<string>();
  const admit = (patient: string): void => {
    if (seen.has(patient)) return;
    seen.add(patient);
    put({ resourceType: 'Patient', id: patient, name: [{ family: 'Test' }] });
    put({ resourceType: 'Condition', id: `${patient}-c1`, subject: { reference: `Patient/${patient}` } });
  };
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '', baseUrl);
    const path = url.pathname.replace(/^\/fhir\//, '');
    if (path === '.well-known/smart-configuration') return send({ response, status: 200, body: endpoints });
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
    const patient = token === undefined ? null : await patientOf(token);
    if (patient === null) return send({ response, status: 401, body: outcome('login') });
    admit(patient);
    if (!TYPES.has(path)) return send({ response, status: 404, body: outcome('not-supported') });
    const found = [...resources.values()].filter(
      (resource) => resource.resourceType === path && ownerOf(resource) === patient && matches({ resource, url }),
    );
    send({ response, status: 200, body: bundleOf({ found, baseUrl, self: url.href }) });
  };
  return { answer, put, remove: (reference: string): void => void resources.delete(reference) };
}

function ownerOf({ resourceType, id, subject, patient }: Resource): string | undefined {
  if (resourceType === 'Patient') return id;
  return (subject ?? patient)?.reference.replace(/^Patient\//, '');
}

/** By `_id` for a Patient, by `patient` for the rest; a search by neither finds nothing. */
function matches({ resource, url }: { readonly resource: Resource; readonly url: URL }): boolean {
  const wanted = url.searchParams.get(resource.resourceType === 'Patient' ? '_id' : 'patient');
  return wanted !== null && wanted.replace(/^Patient\//, '') === ownerOf(resource);
}

function bundleOf({
  found,
  baseUrl,
  self,
}: {
  readonly found: readonly Resource[];
  readonly baseUrl: string;
  readonly self: string;
}) {
  return {
    resourceType: 'Bundle',
    type: 'searchset',
    total: found.length,
    link: [{ relation: 'self', url: self }],
    entry: found.map((resource) => ({
      fullUrl: `${baseUrl}/${resource.resourceType}/${resource.id}`,
      resource,
      search: { mode: 'match' },
    })),
  };
}

function outcome(code: string) {
  return { resourceType: 'OperationOutcome', issue: [{ severity: 'error', code }] };
}

function send({
  response,
  status,
  body,
}: {
  readonly response: ServerResponse;
  readonly status: number;
  readonly body: object;
}): void {
  response.writeHead(status, { 'content-type': 'application/fhir+json' }).end(JSON.stringify(body));
}
