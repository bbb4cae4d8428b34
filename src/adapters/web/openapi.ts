import { z } from 'zod';
import { ERRORS, type ErrorCode } from '../../core/errors.ts';
import { LIMITS } from '../../core/limits.ts';
import type { Route, Success } from './routes.ts';
import { COMPONENTS } from './schemas.ts';

type Json = Readonly<Record<string, unknown>>;

/** The OpenAPI 3.1 document of the routes, made from the schemas that check the requests. */
export function openApiOf({ routes, version }: { readonly routes: readonly Route[]; readonly version: string }): Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of routes) {
    const path = pathOf(route);
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Perennial',
      version,
      description: `Hands over and reads back patient-authorized health records. Bodies are JSON of at most ${LIMITS.requestMaxBytes} bytes.`,
    },
    security: [{ bearer: [] }, { apiKey: [] }],
    paths,
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
      },
      schemas: componentSchemas(),
    },
  };
}

/** The route's pattern as OpenAPI writes it: `/v1/authorizations/{id}`. */
function pathOf(route: Pick<Route, 'path'>): string {
  return route.path.replaceAll(/:(\w+)/g, '{$1}');
}

function operationOf(route: Route): Json {
  const parameters = [...parametersOf(route.params, 'path'), ...parametersOf(route.query, 'query')];
  return {
    operationId: route.operationId,
    summary: route.summary,
    ...guardOf(route),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route.body === undefined
      ? {}
      : { requestBody: { required: true, content: { 'application/json': { schema: refTo(route.body) } } } }),
    responses: { ...successesOf(route.success), ...failuresOf(route) },
  };
}

function guardOf({ scope }: Route): Json {
  if (scope === null) return { security: [] };
  return { description: scope === 'any' ? 'Any API key will do.' : `The API key needs the scope \`${scope}\`.` };
}

function parametersOf(schema: z.ZodObject | undefined, place: 'path' | 'query'): readonly Json[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = z.toJSONSchema(schema, { io: 'input' });
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    schema: property,
  }));
}

function successesOf(successes: readonly Success[]): Json {
  return Object.fromEntries(
    successes.map(({ status, description, schema, contentType = 'application/json', headers }) => {
      const content = { schema: schema === null ? { type: 'string' } : refTo(schema) };
      const told = Object.entries(headers ?? {}).map(([name, says]) => [
        name,
        { description: says, schema: { type: 'string' } },
      ]);
      return [
        String(status),
        {
          description,
          ...(told.length === 0 ? {} : { headers: Object.fromEntries(told) }),
          content: Object.fromEntries([contentType].flat().map((type) => [type, content])),
        },
      ];
    }),
  );
}

function failuresOf(route: Route): Json {
  const guarded: readonly ErrorCode[] = route.scope === null ? [] : ['unauthenticated', 'forbidden'];
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of new Set<ErrorCode>([...route.errors, ...guarded, 'internal'])) {
    const { status } = ERRORS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      String(status),
      {
        description: codes.map((code) => `\`${code}\`: ${ERRORS[code].message}`).join('. '),
        content: { 'application/json': { schema: refTo('Error') } },
      },
    ]),
  );
}

function componentSchemas(): Json {
  return Object.fromEntries(
    Object.entries(COMPONENTS).map(([name, { schema, io }]) => {
      const { $schema, ...rest } = z.toJSONSchema(schema, { io });
      return [name, rest];
    }),
  );
}

function refTo(name: keyof typeof COMPONENTS): Json {
  return { $ref: `#/components/schemas/${name}` };
}
