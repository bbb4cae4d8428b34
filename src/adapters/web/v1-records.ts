import { settledSchema, typesSchema, verdictRequestSchema } from '../../contract/records.ts';
import type { Service } from '../../contract/service.ts';
import type { Log } from '../../core/ports/telemetry.ts';
import { FRAMINGS, framingOf } from './record-framings.ts';
import { toBody } from './record-stream.ts';
import { BY_ID, ONE, type Route } from './routes.ts';
import { idParams, readParams, recordsQuery, typeParams } from './schemas.ts';

type Parts = { readonly service: Service; readonly log: Log };

const CURSOR_HEADER = 'Perennial-Cursor';

/** The routes of the pulled records: themselves, what is known of each type, and the operator's word on suspected removals. */
export function createRecordRoutes(parts: Parts): readonly Route[] {
  return [records(parts), types(parts), suspected(parts)];
}

function records({ service, log }: Parts): Route {
  return {
    method: 'GET',
    path: `${ONE}/records`,
    operationId: 'getRecords',
    summary:
      'The stored resources as the source sent them, one a line, or in one Bundle. A body that ends without its last chunk is cut short.',
    scope: 'records',
    params: idParams,
    query: recordsQuery,
    success: [
      {
        status: 200,
        description: 'NDJSON, or a Bundle where `format` or the Accept header asks for it',
        schema: null,
        contentType: [FRAMINGS.ndjson.contentType, FRAMINGS.bundle.contentType],
        headers: { [CURSOR_HEADER]: 'What the records lack, the changes after this cursor tell' },
      },
    ],
    errors: [...BY_ID, 'authorization_ended', 'cursor_moved', 'key_missing', 'unseal_failed'],
    handle: async ({ request, reply, actor }) => {
      const { id } = readParams(idParams, request.params);
      const { type, format, asOf } = readParams(recordsQuery, request.query);
      const framing = framingOf({ format, accept: request.headers.accept });
      const read = await service.records({
        id,
        actor,
        ...(type === undefined ? {} : { types: type }),
        ...(asOf === undefined ? {} : { asOf }),
      });
      const body = await toBody({ records: read, framing, log });
      return reply.type(framing.contentType).header(CURSOR_HEADER, String(read.cursor)).send(body);
    },
  };
}

function types({ service }: Parts): Route {
  return {
    method: 'GET',
    path: `${ONE}/types`,
    operationId: 'getTypes',
    summary: 'Each resource type: how its last pull ended, what is held of it, and what is suspected to be gone.',
    scope: 'records',
    params: idParams,
    success: [{ status: 200, description: 'The types by name', schema: 'Types' }],
    errors: [...BY_ID, 'authorization_ended', 'key_missing', 'unseal_failed'],
    handle: async ({ request, actor }) =>
      typesSchema.parse(await service.types({ id: readParams(idParams, request.params).id, actor })),
  };
}

function suspected({ service }: Parts): Route {
  return {
    method: 'POST',
    path: `${ONE}/types/:type/suspected`,
    operationId: 'settleSuspected',
    summary:
      "The operator's word on the suspected removals of a type: publish them as removed now, or keep the resources.",
    scope: 'pull',
    params: typeParams,
    body: 'VerdictRequest',
    success: [{ status: 200, description: 'What became of them', schema: 'Settled' }],
    errors: [
      ...BY_ID,
      'malformed_json',
      'body_too_large',
      'unsupported_media_type',
      'authorization_ended',
      'nothing_suspected',
      'lease_taken',
      'superseded',
      'key_missing',
      'unseal_failed',
    ],
    handle: async ({ request, actor }) => {
      const { id, type: resourceType } = readParams(typeParams, request.params);
      const { verdict } = readParams(verdictRequestSchema, request.body);
      return settledSchema.parse(await service.settleSuspected({ id, actor, resourceType, verdict }));
    },
  };
}
