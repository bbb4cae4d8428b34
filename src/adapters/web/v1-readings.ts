import { accessTokenSchema } from '../../contract/feed.ts';
import type { Service } from '../../contract/service.ts';
import { BY_ID, ONE, type Route } from './routes.ts';
import { changePageSchema, changesQuery, idParams, readParams } from './schemas.ts';

/** The routes that read back what is kept of one authorization beside its records: changes and its access token. */
export function createReadings(service: Service): readonly Route[] {
  return [changes(service), token(service)];
}

function changes(service: Service): Route {
  return {
    method: 'GET',
    path: `${ONE}/changes`,
    operationId: 'getChanges',
    summary: 'What pulls added, modified and removed after a cursor.',
    scope: 'records',
    params: idParams,
    query: changesQuery,
    success: [{ status: 200, description: 'Changes in the order of their cursors', schema: 'ChangePage' }],
    errors: [...BY_ID, 'authorization_ended'],
    handle: async ({ request, actor }) => {
      const { id } = readParams(idParams, request.params);
      const { after, limit } = readParams(changesQuery, request.query);
      const found = await service.changes({ id, actor, after, limit });
      return changePageSchema.parse({ changes: found, next: found.at(-1)?.cursor ?? after });
    },
  };
}

function token(service: Service): Route {
  return {
    method: 'GET',
    path: `${ONE}/token`,
    operationId: 'getAccessToken',
    summary: 'A valid access token, refreshed if it must be; audited. It is for `fhirBaseUrl` and for nothing else.',
    scope: 'token',
    params: idParams,
    success: [{ status: 200, description: 'The token', schema: 'AccessToken' }],
    errors: [
      ...BY_ID,
      'authorization_ended',
      'authorization_dead',
      'authorization_not_active',
      'source_refused_us',
      'upstream_unavailable',
      'upstream_throttled',
      'upstream_timeout',
      'refresh_unsure',
      'lease_taken',
      'cancelled',
      'unknown_source',
      'key_missing',
    ],
    handle: async ({ request, reply, actor }) => {
      const { id } = readParams(idParams, request.params);
      const handed = accessTokenSchema.parse(await service.token({ id, actor }));
      reply.header('cache-control', 'no-store');
      return handed;
    },
  };
}
