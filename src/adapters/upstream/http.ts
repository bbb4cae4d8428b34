import { Agent, type Dispatcher } from 'undici';
import { LIMITS } from '../../core/limits.ts';
import { createConnector, type Reach } from './connect.ts';
import { ACCEPT_ENCODING, type Body, openBody } from './http-body.ts';
import { BodyFailure, type FailureReason, reasonOf } from './http-failure.ts';
import { createLifetime, type Lifetime } from './lifetime.ts';
import { type Passage, sendOnce } from './send-once.ts';

export type NoReply = {
  readonly kind: 'none';
  readonly reason: FailureReason;
  /** False only when it is certain that not a byte of the request went to a socket. */
  readonly sent: boolean;
};

/** A whole answer, or why there is none. The body is complete and decompressed, or it is not given at all. */
export type HttpReply =
  | { readonly kind: 'reply'; readonly status: number; readonly headers: Headers; readonly bytes: Uint8Array }
  | NoReply;

/** An answer whose body is still to come. Who does not read it has to cancel it: it holds its connection until the deadline. */
export type HttpStream = Body & { readonly kind: 'stream'; readonly status: number; readonly headers: Headers };

export type Headers = ReadonlyMap<string, string>;

export type HttpRequest = {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly maxBytes: number;
  /** The same for an answer that is not a success, where it differs. */
  readonly errorMaxBytes?: number;
  /** Until the head of the answer. */
  readonly headersTimeoutMs: number;
  /** Between two pieces of the body, while somebody reads. */
  readonly bodyIdleTimeoutMs?: number;
  /** For the whole exchange; null where a long body may take its time, bounded by its size and its idle time. */
  readonly deadlineMs: number | null;
  readonly signal: AbortSignal;
  /** Asked once the connection stands, just before the first byte; with false nothing is sent. Absent: always. */
  readonly mayStillSend?: () => boolean;
};

export type Http = {
  /** One request and its answer as soon as its head is there. Never rejects. */
  readonly open: (request: HttpRequest) => Promise<HttpStream | NoReply>;
  /** One request, one whole answer. Never rejects. */
  readonly send: (request: HttpRequest) => Promise<HttpReply>;
  readonly close: () => Promise<void>;
};

/**
 * One request, one answer: no redirect is followed, nothing is retried, no cookie is kept, and no connection goes where `reach` does not let it.
 *
 * `reuseConnections` is for pages. A connection that lay idle may have been closed by the other side without our knowing; what is sent into it is lost,
 * and nobody can say whether it was read. For a page that costs a repetition, for a refresh token at a strict server it costs the patient: token requests
 * take a fresh connection each (their TLS sessions are resumed, and one authorization refreshes once a day).
 */
export function createHttp({
  reuseConnections,
  reach,
}: {
  readonly reuseConnections: boolean;
  readonly reach: Reach;
}): Http {
  const agent = new Agent({
    connections: LIMITS.connectionsPerOrigin,
    connect: createConnector(reach),
    pipelining: reuseConnections ? 1 : 0,
    maxHeaderSize: LIMITS.replyHeadMaxBytes,
    allowH2: false,
  });
  const open = async (request: HttpRequest): Promise<HttpStream | NoReply> => {
    const life = createLifetime(request);
    const passage: Passage = { sent: false };
    try {
      const response = await Promise.race([ask({ agent, request, life, passage }), life.over]);
      return streamOf({ response, request, life });
    } catch (error) {
      const reason = reasonOf({ error, ended: life.ended() });
      // A body that nobody reads would hold its connection.
      life.end('cancelled');
      return { kind: 'none', reason, sent: passage.sent };
    }
  };
  return {
    open,
    send: async (request) => {
      const answer = await open(request);
      return answer.kind === 'none' ? answer : readWhole(answer);
    },
    close: () => agent.destroy(),
  };
}

function ask({
  agent,
  request,
  life,
  passage,
}: {
  readonly agent: Agent;
  readonly request: HttpRequest;
  readonly life: Lifetime;
  readonly passage: Passage;
}): Promise<Dispatcher.ResponseData> {
  const url = new URL(request.url);
  const once = sendOnce({ mayStillSend: request.mayStillSend ?? (() => true), passage });
  return agent.compose(once).request({
    origin: url.origin,
    path: `${url.pathname}${url.search}`,
    method: request.method,
    headers: { 'accept-encoding': ACCEPT_ENCODING, 'user-agent': 'perennial', ...request.headers },
    body: request.body ?? null,
    headersTimeout: request.headersTimeoutMs,
    bodyTimeout: request.bodyIdleTimeoutMs ?? LIMITS.pageBodyIdleTimeoutMs,
    signal: life.signal,
  });
}

function streamOf({
  response,
  request,
  life,
}: {
  readonly response: Dispatcher.ResponseData;
  readonly request: HttpRequest;
  readonly life: Lifetime;
}): HttpStream {
  const { statusCode: status } = response;
  const headers = headersOf(response.headers);
  const isSuccess = status >= 200 && status < 300;
  const body = openBody({
    raw: response.body,
    encoding: headers.get('content-encoding'),
    contentLength: headers.get('content-length'),
    maxBytes: isSuccess ? request.maxBytes : (request.errorMaxBytes ?? request.maxBytes),
    life,
  });
  return { kind: 'stream', status, headers, ...body };
}

/** The rest of an answer, or why it did not come. */
export async function readWhole({ status, headers, chunks }: HttpStream): Promise<HttpReply> {
  try {
    const parts: Uint8Array[] = [];
    for await (const chunk of chunks) parts.push(chunk);
    return { kind: 'reply', status, headers, bytes: Buffer.concat(parts) };
  } catch (error) {
    const reason = error instanceof BodyFailure ? error.reason : 'connection';
    return { kind: 'none', reason, sent: true };
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
