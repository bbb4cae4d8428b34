import { PerennialError } from '../../core/errors.ts';
import { LIMITS } from '../../core/limits.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { PageStream, Source } from '../../core/ports/upstream.ts';
import { bearer } from './credentials.ts';
import { type Http, type HttpReply, type HttpRequest, type HttpStream, readWhole } from './http.ts';
import { BodyFailure, type BodyLimit } from './http-failure.ts';
import { readPageReply, readRefusal } from './page-reply.ts';

/** What bounds a page; shorter in tests. */
export type PageLimits = Required<
  Pick<HttpRequest, 'maxBytes' | 'headersTimeoutMs' | 'bodyIdleTimeoutMs' | 'deadlineMs'>
> & { readonly wholeMaxBytes: number };

const PAGE_LIMITS: PageLimits = {
  maxBytes: LIMITS.pageMaxBytes,
  wholeMaxBytes: LIMITS.wholePageMaxBytes,
  headersTimeoutMs: LIMITS.pageHeadersTimeoutMs,
  bodyIdleTimeoutMs: LIMITS.pageBodyIdleTimeoutMs,
  deadlineMs: LIMITS.pageDeadlineMs,
};

/** Fetches pages of FHIR, which every kind of source serves in the same way: as they arrive, or whole. */
export function createPages({
  http,
  clock,
  limits: { wholeMaxBytes, ...limits } = PAGE_LIMITS,
}: {
  readonly http: Http;
  readonly clock: Clock;
  readonly limits?: PageLimits;
}): Pick<Source, 'streamPage' | 'fetchPage'> {
  const requestOf = ({ url, accessToken, signal }: Parameters<Source['streamPage']>[0]): HttpRequest => ({
    method: 'GET',
    url,
    headers: { accept: 'application/fhir+json', authorization: bearer(accessToken) },
    ...limits,
    errorMaxBytes: LIMITS.errorBodyMaxBytes,
    signal,
  });
  const open = async (request: HttpRequest): Promise<HttpStream | Exclude<PageStream, { readonly kind: 'page' }>> => {
    const answer = await http.open(request);
    if (answer.kind === 'none') return readRefusal({ http: answer, now: clock.now() });
    if (answer.status >= 200 && answer.status < 300) return answer;
    return readRefusal({ http: await readRefusalBody(answer), now: clock.now() });
  };
  return {
    streamPage: async (request) => {
      const answer = await open(requestOf(request));
      if (answer.kind !== 'stream') return answer;
      const { status, chunks, cancel } = answer;
      return { kind: 'page', status, chunks: translated(chunks), cancel };
    },
    fetchPage: async (request) => {
      const answer = await open({ ...requestOf(request), maxBytes: wholeMaxBytes });
      return answer.kind === 'stream' ? readPageReply({ http: await readWhole(answer), now: clock.now() }) : answer;
    },
  };
}

/** A refusal whose text is too long says by its status what it says: a 401 with megabytes of HTML is a 401. */
async function readRefusalBody(answer: HttpStream): Promise<HttpReply> {
  const reply = await readWhole(answer);
  if (reply.kind === 'reply' || reply.reason !== 'too_large') return reply;
  return { kind: 'reply', status: answer.status, headers: answer.headers, bytes: new Uint8Array() };
}

async function* translated(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* chunks;
  } catch (error) {
    throw error instanceof BodyFailure ? translate(error) : new PerennialError('internal');
  }
}

const LIMIT_NAMES = { maxBytes: 'pageMaxBytes', expansionMax: 'expansionMax' } as const satisfies Record<
  BodyLimit,
  keyof typeof LIMITS
>;

function translate({ reason, limit }: BodyFailure): PerennialError {
  if (reason === 'too_large') {
    return new PerennialError('upstream_too_large', limit === null ? {} : { field: LIMIT_NAMES[limit] });
  }
  if (reason === 'timeout') return new PerennialError('upstream_timeout');
  return new PerennialError(reason === 'cancelled' ? 'cancelled' : 'upstream_cut_short');
}
