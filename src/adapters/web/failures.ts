import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ERRORS, type ErrorCode, PerennialError } from '../../core/errors.ts';
import type { Log } from '../../core/ports/telemetry.ts';

/** Fastify's own errors by their code; their messages quote what was sent, so only ours go out. */
const TRANSLATED: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'malformed_json',
  FST_ERR_CTP_INVALID_JSON_BODY: 'malformed_json',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'malformed_json',
  FST_ERR_BAD_URL: 'not_found',
  FST_ERR_INVALID_URL: 'not_found',
  FST_ERR_MAX_PARAM_LENGTH: 'not_found',
};

/** Whatever was thrown on the way through fastify, as an error of the catalogue. */
function toPerennialError(error: unknown): PerennialError {
  if (error instanceof PerennialError) return error;
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  const known = typeof code === 'string' ? TRANSLATED[code] : undefined;
  if (known !== undefined) return new PerennialError(known);
  // JSON.parse and secure-json-parse throw a bare SyntaxError, which fastify marks with the status only.
  if (error instanceof SyntaxError && Reflect.get(error, 'statusCode') === 400) {
    return new PerennialError('malformed_json');
  }
  return new PerennialError('internal');
}

/** The body of every failure (errorSchema): code, the catalogue's sentence, and the name of the field if there is one. */
function envelopeOf(error: PerennialError): {
  error: { code: ErrorCode; message: string; field?: string };
} {
  const message = ERRORS[error.code].message;
  return {
    error:
      error.field === undefined ? { code: error.code, message } : { code: error.code, message, field: error.field },
  };
}

/** Logs and answers one failure. A throw that is none of ours is `internal`, logged by route and error class alone. */
export function answerFailure({
  error,
  request,
  reply,
  log,
}: {
  readonly error: unknown;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly log: Log;
}): FastifyReply {
  const failure = toPerennialError(error);
  const status = ERRORS[failure.code].status;
  if (status >= 500) {
    const name = error instanceof Error ? error.name : typeof error;
    log.error('request_failed', { route: routeOf(request), code: failure.code, reason: name });
  }
  if (failure.retryAfterMs !== undefined) reply.header('retry-after', Math.ceil(failure.retryAfterMs / 1_000));
  return reply.code(status).type('application/json; charset=utf-8').send(envelopeOf(failure));
}

/** The route's pattern, never the url: ids and queries could hold anything. */
export function routeOf(request: FastifyRequest): string {
  return `${request.method} ${request.routeOptions.url ?? 'unmatched'}`;
}

export function installFailures({ app, log }: { readonly app: FastifyInstance; readonly log: Log }): void {
  app.setErrorHandler((error, request, reply) => answerFailure({ error, request, reply, log }));
  app.setNotFoundHandler((request, reply) =>
    answerFailure({ error: new PerennialError('not_found'), request, reply, log }),
  );
}
