import { z } from 'zod';
import { createAuthorization, expungeIfOver, openPublicToken, revokePatient } from './authorizations.ts';
import type { Endpoint } from './directory.ts';
import { applyChanges, evolve } from './evolution.ts';
import { knobOverridesSchema } from './knobs.ts';
import { LIMITS } from './limits.ts';
import { exchangePublicToken } from './link-routes.ts';
import type { Patient } from './patients.ts';
import { seededRng } from './random.ts';
import { boom, json, Refusal, type Reply } from './reply.ts';
import { jsonBody } from './request.ts';
import type { Handler, Route } from './router.ts';
import { type Authorization, knobsOf, type Sandbox } from './state.ts';
import { servedNdjson, statsOf, tallyOf } from './stats.ts';
import { endpointView } from './token-replies.ts';
import { webhookBody } from './webhooks.ts';

const size = z.union([z.enum(['small', 'medium', 'large']), z.number().int().min(1).max(LIMITS.resourcesPerPatient)]);
const linkBody = z.strictObject({
  usage: z.enum(['ONE_TIME', 'MULTIPLE']),
  endpointId: z.string().min(1),
  externalId: z.string().min(1).optional(),
  patient: z.string().min(1).optional(),
  size: size.default('medium'),
  knobs: knobOverridesSchema.optional(),
});
const knobsBody = z.strictObject({
  global: knobOverridesSchema.optional(),
  endpoints: z.record(z.string(), knobOverridesSchema).default({}),
  authorizations: z.record(z.string(), knobOverridesSchema).default({}),
});
const count = z.number().int().min(0).max(LIMITS.changesPerCall).default(0);
const changesBody = z.strictObject({ add: count, edit: count, remove: count });

const routes: readonly Route[] = [
  { method: 'POST', path: '/sandbox/links', handle: link },
  { method: 'POST', path: '/sandbox/authorizations/:id/revoke', handle: disconnect },
  { method: 'PUT', path: '/sandbox/knobs', handle: setKnobs },
  { method: 'GET', path: '/sandbox/knobs', handle: (sandbox) => json(200, sandbox.knobs.snapshot()) },
  { method: 'POST', path: '/sandbox/patients/:id/changes', handle: change },
  { method: 'GET', path: '/sandbox/patients/:id/resources', handle: resources },
  { method: 'GET', path: '/sandbox/stats', handle: stats },
  { method: 'PUT', path: '/sandbox/webhook', handle: setWebhook },
];

/** The control plane for tests and the demo: loopback only, no authentication, no part of the contract. */
export const controlRoutes: readonly Route[] = routes.map((route) => ({
  ...route,
  handle: loopbackOnly(route.handle),
}));

function loopbackOnly(handle: Handler): Handler {
  return (sandbox, request, params) =>
    request.loopback ? handle(sandbox, request, params) : boom(403, 'The control plane answers on loopback only');
}

function link(...[sandbox, request]: Parameters<Handler>): Reply {
  const body = jsonBody(request, linkBody);
  const endpoint = findEndpoint(sandbox, body.endpointId);
  const patient = body.patient === undefined ? null : findPatient(sandbox, body.patient);
  if (patient !== null && patient.endpoint !== endpoint) return boom(400, 'patient: belongs to another endpoint');
  const externalId = body.externalId ?? null;
  const authorization = createAuthorization(sandbox, {
    usage: body.usage,
    endpoint,
    size: body.size,
    externalId,
    patient,
  });
  if (body.knobs !== undefined) sandbox.knobs.set('authorization', authorization.id, body.knobs);
  openPublicToken(sandbox, authorization);
  if (request.query.get('exchange') === 'true')
    return withIds(exchangePublicToken(sandbox, authorization.publicToken), authorization);
  return json(201, { publicToken: authorization.publicToken, ...idsOf(authorization) });
}

function withIds(reply: Reply, authorization: Authorization): Reply {
  const token: unknown = JSON.parse(reply.body.toString());
  return reply.status === 200 ? json(201, { ...idsOf(authorization), token }) : reply;
}

function idsOf(authorization: Authorization): Record<string, unknown> {
  const { endpoint, id } = authorization;
  return {
    patient: `Patient/${authorization.patient.id}`,
    authorizationId: id,
    endpoint: { ...endpointView(endpoint), network: endpoint.network, maxAuthPeriod: endpoint.maxAuthPeriod },
  };
}

function disconnect(...[sandbox, _request, params]: Parameters<Handler>): Reply {
  const { patient } = findAuthorization(sandbox, params['id'] ?? '');
  const count = revokePatient(sandbox, patient);
  for (const authorization of authorizationsOf(sandbox, patient)) {
    sandbox.webhooks.tell('refresh_expired', authorization);
  }
  return json(200, { count });
}

function setWebhook(...[sandbox, request]: Parameters<Handler>): Reply {
  sandbox.webhooks.register(jsonBody(request, webhookBody));
  return json(201, {});
}

/** Of a patient those whose tokens somebody has: only these are told of. */
function authorizationsOf(sandbox: Sandbox, patient: Patient): readonly Authorization[] {
  return [...sandbox.authorizations.values()].filter((one) => one.patient === patient && one.exchangedAtMs !== null);
}

function setKnobs(...[sandbox, request]: Parameters<Handler>): Reply {
  const body = jsonBody(request, knobsBody);
  // Every name is looked up before anything is set, so that a refused call changes nothing.
  const endpoints = Object.entries(body.endpoints).map(([id, knobs]) => [findEndpoint(sandbox, id).id, knobs] as const);
  for (const id of Object.keys(body.authorizations)) findAuthorization(sandbox, id);
  if (body.global !== undefined) sandbox.knobs.set('global', '', body.global);
  for (const [id, knobs] of endpoints) sandbox.knobs.set('endpoint', id, knobs);
  for (const [id, knobs] of Object.entries(body.authorizations)) sandbox.knobs.set('authorization', id, knobs);
  return json(200, sandbox.knobs.snapshot());
}

function change(...[sandbox, request, params]: Parameters<Handler>): Reply {
  const counts = jsonBody(request, changesBody);
  const patient = findPatient(sandbox, params['id'] ?? '');
  catchUp(sandbox, patient);
  patient.manualChanges += 1;
  const rng = seededRng(`${patient.chart.key}/manual/${patient.manualChanges}`);
  const changes = applyChanges({ patient, counts, atMs: sandbox.now(), rng });
  for (const authorization of authorizationsOf(sandbox, patient)) {
    sandbox.webhooks.tell('sync_completed', authorization);
  }
  return json(200, changes);
}

function resources(...[sandbox, _request, params]: Parameters<Handler>): Reply {
  const patient = findPatient(sandbox, params['id'] ?? '');
  catchUp(sandbox, patient);
  const headers = { 'content-type': 'application/x-ndjson' };
  return { status: 200, headers, body: servedNdjson({ patient, expunged: false }) };
}

function stats(...[sandbox, request]: Parameters<Handler>): Reply {
  const wanted = request.query.get('authorization');
  const rows = wanted === null ? [...sandbox.authorizations.values()] : [findAuthorization(sandbox, wanted)];
  // Records are written on first look: thousands of patients that nobody read yet should stay unwritten.
  const view = request.query.get('records') === 'false' ? tallyOf : statsOf;
  return json(200, { nowMs: sandbox.now(), authorizations: rows.map((row) => view(sandbox, row)) });
}

/** Time passes for a patient, under the knobs of the first authorization it came with. */
function catchUp(sandbox: Sandbox, patient: Patient): void {
  for (const authorization of sandbox.authorizations.values()) {
    if (authorization.patient === patient) expungeIfOver(sandbox, authorization);
  }
  evolve(patient, knobsOf(sandbox, sandbox.authorizations.get(patient.chart.authorizationId)), sandbox.now());
}

function findEndpoint(sandbox: Sandbox, idOrName: string): Endpoint {
  return found(
    sandbox.directory.find((it) => it.id === idOrName || it.name === idOrName),
    'endpoint',
  );
}

function findPatient(sandbox: Sandbox, id: string): Patient {
  return found(sandbox.patients.get(id.replace(/^Patient\//, '')), 'patient');
}

function findAuthorization(sandbox: Sandbox, id: string): Authorization {
  return found(sandbox.authorizations.get(id), 'authorization');
}

function found<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Refusal(boom(404, `No such ${what}`));
  return value;
}
