import { keyCensusSchema, rotationRequestSchema, rotationSchema } from '../../contract/keys.ts';
import type { Service } from '../../contract/service.ts';
import type { Route } from './routes.ts';
import { keysQuery, readParams } from './schemas.ts';

/** The operator's routes to the key-encryption keys. */
export function createKeyRoutes(service: Service): readonly Route[] {
  return [rotation(service), keys(service)];
}

function rotation(service: Service): Route {
  return {
    method: 'POST',
    path: '/v1/keys/rotation',
    operationId: 'rotateKeys',
    summary:
      'Wraps one page of the data keys by the first of ENCRYPTION_KEYS; again from `next` until it is null. It may be repeated; audited.',
    scope: 'operate',
    body: 'RotationRequest',
    success: [{ status: 200, description: 'What became of the page', schema: 'Rotation' }],
    errors: ['invalid_request', 'malformed_json', 'body_too_large', 'unsupported_media_type', 'database_unreachable'],
    handle: async ({ request, actor }) => {
      const { after = null } = readParams(rotationRequestSchema, request.body);
      return rotationSchema.parse(await service.rotateKeys({ after, actor }));
    },
  };
}

function keys(service: Service): Route {
  return {
    method: 'GET',
    path: '/v1/keys',
    operationId: 'getKeys',
    summary: 'How many data keys each key-encryption key wraps, a page at a time.',
    scope: 'operate',
    query: keysQuery,
    success: [{ status: 200, description: 'The count of the page', schema: 'KeyCensus' }],
    errors: ['invalid_request', 'database_unreachable'],
    handle: async ({ request }) => {
      const { after = null } = readParams(keysQuery, request.query);
      return keyCensusSchema.parse(await service.keys({ after }));
    },
  };
}
