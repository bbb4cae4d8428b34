import { pipeline, type Readable, type Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { Agent, type Dispatcher, errors } from 'undici';
import { LIMITS } from '../../core/limits.ts';
import { type Passage, sendOnce, Withheld } from './send-once.ts';

/** A whole answer, or why there is none. The body is complete and decompressed, or it is not given at all. */
export type HttpReply =
  | { readonly kind: 'reply'; readonly status: number; readonly headers: Headers; readonly bytes: Uint8Array }
  | {
      readonly kind: 'none';
      readonly reason: 'timeout' | 'connection' | 'cut_short' | 'too_large' | 'cancelled' | 'withheld';
      /** False only when it is certain that not a byte of the request went to a socket. */
      readonly sent: boolean;
    };

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
  /** Asked once the connection stands, just before the first byte; with false nothing is sent. Absent: always. */
  readonly mayStillSend?: () => boolean;
};

export type Http = { readonly send: (request: HttpRequest) => Promise<HttpReply>; readonly close: () => Promise<void> };

class TooLarge extends Error {}

/** Codes with which zlib, brotli and undici say that a body ended before its end or does not add up. */
const CUT_SHORT = /^(?:Z_|ERR_BROTLI|ERR__ERROR|ERR_STREAM_PREMATURE_CLOSE$|UND_ERR_RES_CONTENT_LENGTH_MISMATCH$)/;

/**
 * One request, one whole answer: no redirect is followed, nothing is retried, no cookie is kept. A gzip body that was cut short is an error here,
 * where `fetch` takes it for whole (contract, section 11): half a page taken for a whole one would publish false deletions.
 *
 * `reuseConnections` is for pages. A connection that lay idle may have been closed by the other side without our knowing; what is sent into it is lost,
 * and nobody can say whether it was read. For a page that costs a repetition, for a refresh token at a strict server it costs the patient: token requests
 * take a fresh connection each (their TLS sessions are resumed, and one authorization refreshes once a day).
 */
export function createHttp({ reuseConnections }: { readonly reuseConnections: boolean }): Http {
  const agent = new Agent({
    connections: LIMITS.connectionsPerOrigin,
    bodyTimeout: LIMITS.pageBodyIdleTimeoutMs,
    connect: { timeout: LIMITS.connectTimeoutMs },
    pipelining: reuseConnections ? 1 : 0,
    // Over HTTP/2 undici puts requests back and sends them again after a GOAWAY, and writes a request's head before its body.
    allowH2: false,
  });
  return {
    send: async (request) => {
      const deadline = request.deadlineMs === null ? null : AbortSignal.timeout(request.deadlineMs);
      const signal = deadline === null ? request.signal : AbortSignal.any([request.signal, deadline]);
      const passage: Passage = { sent: false };
      const end = endOf(signal);
      try {
        return await Promise.race([exchange({ agent, request, signal, passage }), end.comes]);
      } catch (error) {
        return { kind: 'none', reason: reasonOf({ error, request, deadline }), sent: passage.sent };
      } finally {
        end.forget();
      }
    },
    close: () => agent.destroy(),
  };
}

/** undici looks at a signal only once it has a connection, and a hanging TLS handshake would outlast it by seconds. What has ended here is not sent there. */
function endOf(signal: AbortSignal): { readonly comes: Promise<never>; readonly forget: () => void } {
  const { promise: comes, reject } = Promise.withResolvers<never>();
  const end = () => reject(new errors.RequestAbortedError());
  if (signal.aborted) end();
  signal.addEventListener('abort', end, { once: true });
  return { comes, forget: () => signal.removeEventListener('abort', end) };
}

async function exchange({
  agent,
  request,
  signal,
  passage,
}: {
  readonly agent: Agent;
  readonly request: HttpRequest;
  readonly signal: AbortSignal;
  readonly passage: Passage;
}): Promise<HttpReply> {
  const url = new URL(request.url);
  const once = sendOnce({ mayStillSend: request.mayStillSend ?? (() => true), passage });
  const response = await agent.compose(once).request({
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

function reasonOf({
  error,
  request,
  deadline,
}: {
  readonly error: unknown;
  readonly request: HttpRequest;
  readonly deadline: AbortSignal | null;
}): Extract<HttpReply, { readonly kind: 'none' }>['reason'] {
  if (error instanceof Withheld) return 'withheld';
  if (request.signal.aborted) return 'cancelled';
  if (deadline?.aborted === true) return 'timeout';
  if (error instanceof TooLarge) return 'too_large';
  if (error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError) return 'timeout';
  if (error instanceof errors.ConnectTimeoutError) return 'timeout';
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && CUT_SHORT.test(code) ? 'cut_short' : 'connection';
}
