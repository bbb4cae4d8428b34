import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import { LIMITS } from './limits.ts';
import { boom, Refusal } from './reply.ts';

/** A request as the handlers see it: read whole, path decoded, nothing trusted. */
export type Request = {
  readonly method: string;
  /** Decoded path segments, without empty ends. */
  readonly segments: readonly string[];
  readonly query: URLSearchParams;
  readonly authorization: string;
  readonly contentType: string;
  readonly acceptsGzip: boolean;
  readonly loopback: boolean;
  readonly body: Buffer;
};

/** Reads a request whole. @throws {Refusal} 400 for a path that does not decode, 413 for a body over the limit. */
export async function readRequest(incoming: IncomingMessage): Promise<Request> {
  const [rawPath = '/', ...rest] = (incoming.url ?? '/').split('?');
  return {
    method: incoming.method ?? 'GET',
    segments: decodePath(rawPath),
    query: new URLSearchParams(rest.join('?')),
    authorization: incoming.headers.authorization ?? '',
    contentType: (incoming.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '',
    acceptsGzip: /\bgzip\b/.test(String(incoming.headers['accept-encoding'] ?? '')),
    loopback: isLoopback(incoming.socket.remoteAddress ?? ''),
    body: await readBody(incoming),
  };
}

/** The JSON body in the shape of `schema`. @throws {Refusal} 400 or 415 that names the field and never its value. */
export function jsonBody<T extends z.ZodType>(request: Request, schema: T): z.output<T> {
  if (request.contentType !== 'application/json') throw new Refusal(boom(415, 'Unsupported Media Type'));
  return checked(schema, parseJson(request.body));
}

/** The fields of a JSON or form body (both are sent to the token endpoint, contract 1.9). @throws {Refusal} 400 or 415 */
export function formOrJsonBody<T extends z.ZodType>(request: Request, schema: T): z.output<T> {
  if (request.contentType !== 'application/x-www-form-urlencoded') return jsonBody(request, schema);
  return checked(schema, Object.fromEntries(new URLSearchParams(request.body.toString('utf8'))));
}

/** The bearer token, or an empty string. */
export function bearerOf(request: Request): string {
  return /^Bearer +(\S+)$/i.exec(request.authorization)?.[1] ?? '';
}

function checked<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const fields = new Set(result.error.issues.map((issue) => issue.path.join('.') || unknownKeys(issue)));
  throw new Refusal(boom(400, `Invalid request payload input: ${[...fields].join(', ')}`));
}

function unknownKeys(issue: z.core.$ZodIssue): string {
  return issue.code === 'unrecognized_keys' ? `unknown field ${issue.keys.join(', ')}` : 'the body';
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    throw new Refusal(boom(400, 'Invalid request payload JSON format'));
  }
}

function decodePath(rawPath: string): readonly string[] {
  try {
    return rawPath.replace(/^\//, '').replace(/\/$/, '').split('/').map(decodeURIComponent);
  } catch {
    throw new Refusal(boom(400, 'Invalid path encoding'));
  }
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.replace('::ffff:', '').startsWith('127.');
}

async function readBody(incoming: IncomingMessage): Promise<Buffer> {
  const tooLarge = new Refusal(boom(413, 'Payload content length greater than maximum allowed'));
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Not destroyed on the way out, and drained a while before the refusal: else the client sees a reset and never the 413.
  for await (const chunk of incoming.iterator({ destroyOnReturn: false })) {
    const part = Buffer.from(chunk);
    bytes += part.length;
    if (bytes <= LIMITS.bodyBytes) chunks.push(part);
    if (bytes > LIMITS.drainBytes) throw tooLarge;
  }
  if (bytes > LIMITS.bodyBytes) throw tooLarge;
  return Buffer.concat(chunks, bytes);
}
