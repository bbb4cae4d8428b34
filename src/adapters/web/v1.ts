import type { Service } from '../../contract/service.ts';
import { authorizationViewSchema, parseAuthorizationRequest } from '../../contract/wire.ts';
import type { Log } from '../../core/ports/telemetry.ts';
import { BY_ID, ONE, type Route } from './routes.ts';
import {
  type IntakeKey,
  idParams,
  intakeKeySchema,
  listQuery,
  pageSchema,
  readParams,
  type SigningKey,
} from './schemas.ts';
import { createAuditRoutes } from './v1-audit.ts';
import { createFleetRoutes } from './v1-fleet.ts';
import { createHookRoutes } from './v1-hooks.ts';
import { createKeyRoutes } from './v1-keys.ts';
import { createReadings } from './v1-readings.ts';
import { createRecordRoutes } from './v1-records.ts';

type Parts = {
  readonly service: Service;
  readonly log: Log;
  readonly intakePublicJwk: IntakeKey;
  readonly signingPublicJwk: SigningKey;
};

const AUTHORIZATION = { description: 'The authorization', schema: 'Authorization' } as const;

/** All routes under /v1 but the OpenAPI document. Answers pass their schema on the way out, which cuts off what is not in it. */
export function createV1Routes(parts: Parts): readonly Route[] {
  return [
    accept(parts),
    list(parts),
    status(parts),
    purge(parts),
    pull(parts),
    release(parts),
    ...createRecordRoutes(parts),
    ...createReadings(parts.service),
    ...createFleetRoutes(parts.service),
    ...createAuditRoutes(parts),
    ...createKeyRoutes(parts.service),
    ...createHookRoutes(parts.service),
    intakeKey(parts),
  ];
}

function accept({ service }: Parts): Route {
  return {
    method: 'POST',
    path: '/v1/authorizations',
    operationId: 'acceptAuthorization',
    summary:
      'Hands over one authorization, or a new consent of one that has ended. Idempotent: the same request again finds the first one.',
    scope: 'enqueue',
    body: 'AuthorizationRequest',
    success: [
      { status: 201, ...AUTHORIZATION, description: 'Accepted, or a new consent taken' },
      { status: 200, ...AUTHORIZATION, description: 'Accepted before, with the same content' },
    ],
    errors: [
      'invalid_request',
      'malformed_json',
      'body_too_large',
      'unsupported_media_type',
      'authorization_conflict',
      'authorization_purged',
      'superseded',
      'unknown_source',
      'public_token_unsupported',
      'token_expired',
      'database_unreachable',
      'queue_unreachable',
    ],
    handle: async ({ request, reply, actor }) => {
      const { authorization, created } = await service.accept({
        request: parseAuthorizationRequest(request.body),
        actor,
      });
      reply.code(created ? 201 : 200).header('location', `/v1/authorizations/${authorization.id}`);
      return authorizationViewSchema.parse(authorization);
    },
  };
}

function list({ service }: Parts): Route {
  return {
    method: 'GET',
    path: '/v1/authorizations',
    operationId: 'listAuthorizations',
    summary: 'Lists authorizations by id, a page at a time.',
    scope: 'read',
    query: listQuery,
    success: [{ status: 200, description: 'One page', schema: 'AuthorizationPage' }],
    errors: ['invalid_request', 'database_unreachable'],
    handle: async ({ request }) => {
      const { after, limit, state } = readParams(listQuery, request.query);
      const page = { after: after ?? null, limit };
      const found = await service.list(state === undefined ? page : { ...page, state });
      const last = found.length < limit ? undefined : found.at(-1);
      return pageSchema.parse({ authorizations: found, next: last?.id ?? null });
    },
  };
}

function status({ service }: Parts): Route {
  return {
    method: 'GET',
    path: ONE,
    operationId: 'getAuthorization',
    summary: 'State and why, usage, network, next run, last pull, freshness.',
    scope: 'read',
    params: idParams,
    success: [{ status: 200, ...AUTHORIZATION }],
    errors: BY_ID,
    handle: async ({ request }) =>
      authorizationViewSchema.parse(await service.status(readParams(idParams, request.params).id)),
  };
}

function purge({ service }: Parts): Route {
  return {
    method: 'DELETE',
    path: ONE,
    operationId: 'purgeAuthorization',
    summary: 'Ends the authorization: reads refuse from now on, revocation and purge follow at once.',
    scope: 'purge',
    params: idParams,
    success: [{ status: 202, ...AUTHORIZATION, description: 'The purge is on its way' }],
    errors: BY_ID,
    handle: async ({ request, reply, actor }) => {
      const view = await service.requestPurge({ id: readParams(idParams, request.params).id, actor });
      reply.code(202);
      return authorizationViewSchema.parse(view);
    },
  };
}

function pull({ service }: Parts): Route {
  return {
    method: 'POST',
    path: `${ONE}/pull`,
    operationId: 'pullAuthorization',
    summary: 'Pulls now, out of turn.',
    scope: 'pull',
    params: idParams,
    success: [{ status: 202, ...AUTHORIZATION, description: 'The pull is on its way' }],
    errors: [...BY_ID, 'authorization_not_active', 'authorization_ended', 'queue_unreachable'],
    handle: async ({ request, reply, actor }) => {
      const view = await service.pullNow({ id: readParams(idParams, request.params).id, actor });
      reply.code(202);
      return authorizationViewSchema.parse(view);
    },
  };
}

function release({ service }: Parts): Route {
  return {
    method: 'POST',
    path: `${ONE}/release`,
    operationId: 'releaseAuthorization',
    summary: 'Lets an authorization run again that was quarantined because its workers died; audited.',
    scope: 'operate',
    params: idParams,
    success: [{ status: 200, ...AUTHORIZATION, description: 'It runs again at once' }],
    errors: [...BY_ID, 'not_quarantined', 'lease_taken', 'superseded', 'key_missing'],
    handle: async ({ request, actor }) =>
      authorizationViewSchema.parse(await service.release({ id: readParams(idParams, request.params).id, actor })),
  };
}

function intakeKey({ intakePublicJwk }: Parts): Route {
  return {
    method: 'GET',
    path: '/v1/intake-key',
    operationId: 'getIntakeKey',
    summary: 'The public key to which requests are sealed before they go through the queue.',
    scope: 'enqueue',
    success: [{ status: 200, description: 'A JWK', schema: 'IntakeKey' }],
    errors: [],
    handle: async () => intakeKeySchema.parse(intakePublicJwk),
  };
}
