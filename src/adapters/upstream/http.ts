import { pipeline, type Readable, type Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { Agent, type Dispatcher, errors } from 'undici';
import { LIMITS } from '../../core/limits.ts';

/** A whole answer, or why there is none. The body is complete and decompressed, or it is not given at all. */
export type HttpReply =
  | { readonly kind: 'reply'; readonly status: number; readonly headers: Headers; readonly bytes: Uint8Array }
  | { readonly kind: 'none'; readonly reason: 'timeout' | 'connection' | 'cut_short' | 'too_large' | 'cancelled' };

export type Headers = ReadonlyMap<string, string>;

export type HttpRequest = {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly maxBytes: number;
  /** Until the head of the answer. */
  readonly headersTimeoutMs: number;
  /** For the whole exchange; null where a long body may take its time, bounded by its size and its idle time. */
  readonly deadlineMs: number | null;
  readonly signal: AbortSignal;
};

export type Http = { readonly send: (request: HttpRequest) => Promise<HttpReply>; readonly close: () => Promise<void> };

class TooLarge extends Error {}

/** Codes with which zlib, brotli and undici say that a body ended before its end or does not add up. */
const CUT_SHORT = /^(?:Z_|ERR_BROTLI|ERR__ERROR|ERR_STREAM_PREMATURE_CLOSE$|UND_ERR_RES_CONTENT_LENGTH_MISMATCH$)/;

/**
 * One request, one whole answer: no redirect is followed, nothing is retried, no cookie is kept. A gzip body that was cut short is an error here,
 * where `fetch` takes it for whole (contract, section 11): half a page taken for a whole one would publish false deletions.
 */
export function createHttp(): Http {
  const agent = new Agent({
    connections: LIMITS.connectionsPerOrigin,
    bodyTimeout: LIMITS.pageBodyIdleTimeoutMs,
    connect: { timeout: LIMITS.connectTimeoutMs },
  });
  return {
    send: async (request) => {
      const deadline = request.deadlineMs === null ? null : AbortSignal.timeout(request.deadlineMs);
      const signal = deadline === null ? request.signal : AbortSignal.any([request.signal, deadline]);
      try {
        return await exchange({ agent, request, signal });
      } catch (error) {
        if (request.signal.aborted) return { kind: 'none', reason: 'cancelled' };
        return { kind: 'none', reason: deadline?.aborted === true ? 'timeout' : reasonOf(error) };
      }
    },
    close: () => agent.destroy(),
  };
}

async function exchange({
  agent,
  request,
  signal,
}: {
  readonly agent: Agent;
  readonly request: HttpRequest;
  readonly signal: AbortSignal;
}): Promise<HttpReply> {
  const url = new URL(request.url);
  const response = await agent.request({
    origin: url.origin,
    path: `${url.pathname}${url.search}`,
    method: request.method,
    headers: { 'accept-encoding': 'gzip, br', 'user-agent': 'perennial', ...request.headers },
    body: request.body ?? null,
    headersTimeout: request.headersTimeoutMs,
    signal,
  });
  const headers = headersOf(response.headers);
  const bytes = await readWhole({
    body: response.body,
    encoding: headers.get('content-encoding'),
    maxBytes: request.maxBytes,
  });
  return { kind: 'reply', status: response.statusCode, headers, bytes };
}

async function readWhole({
  body,
  encoding,
  maxBytes,
}: {
  readonly body: Readable;
  readonly encoding: string | undefined;
  readonly maxBytes: number;
}): Promise<Uint8Array> {
  let size = 0;
  const chunks: Buffer[] = [];
  const plain = decoded({ body, encoding });
  for await (const chunk of plain) {
    if (!Buffer.isBuffer(chunk)) throw new TypeError('not bytes');
    size += chunk.length;
    if (size > maxBytes) throw new TooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

function decoded({ body, encoding }: { readonly body: Readable; readonly encoding: string | undefined }): Readable {
  try {
    const decoder = decoderOf(encoding);
    return decoder === null ? body : pipeline(body, decoder, () => {});
  } catch (error) {
    // A body that nobody reads would hold its connection.
    body.on('error', () => {}).destroy();
    throw error;
  }
}

function decoderOf(encoding: string | undefined): Transform | null {
  switch (encoding?.trim().toLowerCase()) {
    case undefined:
    case '':
    case 'identity':
      return null;
    case 'gzip':
    case 'x-gzip':
      return createGunzip();
    case 'deflate':
      return createInflate();
    case 'br':
      return createBrotliDecompress();
    default:
      throw new TypeError('unknown content-encoding');
  }
}

function headersOf(raw: Dispatcher.ResponseData['headers']): Headers {
  const headers = new Map<string, string>();
  for (const [name, value] of Object.entries(raw)) {
    const text = Array.isArray(value) ? value.join(', ') : value;
    if (text !== undefined) headers.set(name.toLowerCase(), text);
  }
  return headers;
}

function reasonOf(error: unknown): Extract<HttpReply, { readonly kind: 'none' }>['reason'] {
  if (error instanceof TooLarge) return 'too_large';
  if (error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError) return 'timeout';
  if (error instanceof errors.ConnectTimeoutError) return 'timeout';
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && CUT_SHORT.test(code) ? 'cut_short' : 'connection';
}
