import { pageLinks, searchset } from './bundle.ts';
import { capabilityStatement } from './capability.ts';
import { evolve } from './evolution.ts';
import { type Admitted, admit } from './gate.ts';
import { expungePatient, type Patient, type Resource, recordOf } from './patients.ts';
import { fhir, outcome, outcomeBody, Refusal, type Reply } from './reply.ts';
import type { Request } from './request.ts';
import type { Handler, Route } from './router.ts';
import { parseSearch, SEARCHABLE_TYPES } from './search.ts';
import { type Authorization, knobsOf, type Sandbox } from './state.ts';

/** The FHIR API (contract 3). */
export const fhirRoutes: readonly Route[] = [
  { method: 'GET', path: '/fhir/metadata', handle: (sandbox) => fhir(200, capabilityStatement(sandbox)) },
  { method: 'GET', path: '/fhir/Patient/:id/$everything', handle: everything },
  { method: 'POST', path: '/fhir/Patient/:id/$expunge', handle: expunge },
  { method: 'GET', path: '/fhir/:type', handle: search },
  { method: 'GET', path: '/fhir/:type/:id', handle: read },
];

const WILDCARD = '$PATIENT_ID';

function search(...[sandbox, request, params]: Parameters<Handler>): Reply {
  const type = params['type'] ?? '';
  const admitted = admit(sandbox, request);
  checkType(type, admitted);
  const query = parseSearch(replaceWildcard(request.query, admitted));
  const scope = query.patientId === null ? admitted.authorizations : [ownerOf(admitted, query.patientId)];
  const found = scope.flatMap((authorization) =>
    visible(sandbox, authorization).filter((it) => it.spec.type === type && query.matches(authorization.patient, it)),
  );
  const links = pageLinks({
    url: `${sandbox.baseUrl}/fhir/${type}`,
    nextOrigin: admitted.knobs.nextLinkOrigin,
    count: query.count,
    offset: query.offset,
    total: found.length,
    carried: query.carried,
    // An application token has no patient to swap for a tag, so the patient filter itself is carried.
    tokenId: scope.length === 1 ? (scope[0]?.patient.chart.authorizationId ?? null) : null,
  });
  return answer(request, admitted, bundleOf(sandbox, admitted, found, query, links));
}

function read(...[sandbox, request, params]: Parameters<Handler>): Reply {
  const type = params['type'] ?? '';
  const admitted = admit(sandbox, request);
  checkType(type, admitted);
  const id = params['id'] === WILDCARD ? ownId(admitted) : (params['id'] ?? '');
  for (const authorization of admitted.authorizations) {
    const resource = authorization.expunged ? undefined : recordOf(authorization.patient).get(`${type}/${id}`);
    if (resource !== undefined) return answer(request, admitted, resource.body);
  }
  return { ...outcome(404, 'not-found', `${type} not found`, admitted.headers), delayMs: admitted.knobs.slowFhirMs };
}

function everything(...[sandbox, request, params]: Parameters<Handler>): Reply {
  const admitted = admit(sandbox, request);
  const id = params['id'] === WILDCARD ? ownId(admitted) : (params['id'] ?? '');
  const owner = ownerOf(admitted, id);
  const refused = new Set(admitted.knobs.refusedTypes);
  const found = visible(sandbox, owner).filter((it) => !refused.has(it.spec.type));
  const pageSize = admitted.knobs.everythingPageSize;
  const page = new URLSearchParams();
  const offset = request.query.get('_offset');
  if (offset !== null && pageSize !== null) page.set('_offset', offset);
  const query = { ...parseSearch(page), count: pageSize ?? Math.max(1, found.length) };
  const links = pageLinks({
    url: `${sandbox.baseUrl}/fhir/Patient/${id}/$everything`,
    nextOrigin: admitted.knobs.nextLinkOrigin,
    count: query.count,
    offset: query.offset,
    total: found.length,
    carried: [],
    tokenId: null,
  });
  const unpaged = [{ relation: 'self', url: `${sandbox.baseUrl}/fhir/Patient/${id}/$everything` } as const];
  return answer(request, admitted, bundleOf(sandbox, admitted, found, query, pageSize === null ? unpaged : links));
}

function expunge(...[sandbox, request, params]: Parameters<Handler>): Reply {
  const admitted = admit(sandbox, request);
  const id = params['id'] === WILDCARD ? ownId(admitted) : (params['id'] ?? '');
  const owner = ownerOf(admitted, id);
  const count = expungePatient(owner.patient);
  owner.tally.expunges += 1;
  return fhir(200, outcomeBody('information', 'informational', `Expunged ${count} resources`), admitted.headers);
}

function bundleOf(
  sandbox: Sandbox,
  admitted: Admitted,
  found: readonly Resource[],
  page: { readonly count: number; readonly offset: number },
  links: ReturnType<typeof pageLinks>,
): Buffer {
  return searchset({
    fhirBase: `${sandbox.baseUrl}/fhir`,
    resources: found.slice(page.offset, page.offset + page.count),
    links,
    total: admitted.knobs.bundleTotal ? found.length : null,
  });
}

function answer(request: Request, admitted: Admitted, body: Buffer): Reply {
  const gzip = admitted.knobs.gzip && request.acceptsGzip;
  return { ...fhir(200, body, admitted.headers), delayMs: admitted.knobs.slowFhirMs, gzip, ...admitted.fault };
}

function visible(sandbox: Sandbox, authorization: Authorization): readonly Resource[] {
  evolve(authorization.patient, knobsOf(sandbox, authorization), sandbox.now());
  return authorization.expunged ? [] : [...recordOf(authorization.patient).values()];
}

function checkType(type: string, admitted: Admitted): void {
  if (!SEARCHABLE_TYPES.has(type)) throw new Refusal(outcome(404, 'not-supported', 'Resource type is not supported'));
  if (!admitted.knobs.refusedTypes.includes(type)) return;
  const { refusedStatus } = admitted.knobs;
  const code = refusedStatus === 403 ? 'forbidden' : 'not-supported';
  throw new Refusal(outcome(refusedStatus, code, `${type} cannot be read with this token`, admitted.headers));
}

function ownerOf(admitted: Admitted, patientId: string): Authorization {
  const owner = admitted.authorizations.find((it) => it.patient.id === patientId);
  if (owner === undefined)
    throw new Refusal(outcome(403, 'forbidden', 'Outside of the patient context', admitted.headers));
  return owner;
}

function ownId(admitted: Admitted): Patient['id'] {
  if (admitted.own !== null) return admitted.own.patient.id;
  throw new Refusal(outcome(403, 'forbidden', 'An application token has no patient'));
}

function replaceWildcard(query: URLSearchParams, admitted: Admitted): URLSearchParams {
  const replaced = new URLSearchParams();
  for (const [name, value] of query) {
    replaced.append(name, value.includes(WILDCARD) ? value.replaceAll(WILDCARD, () => ownId(admitted)) : value);
  }
  return replaced;
}
