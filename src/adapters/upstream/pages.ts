import { PerennialError } from '../../core/errors.ts';
import { LIMITS } from '../../core/limits.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Source } from '../../core/ports/upstream.ts';
import { bearer } from './credentials.ts';
import { type Http, type HttpReply, type HttpRequest, type HttpStream, readWhole } from './http.ts';
import { BodyFailure, type BodyLimit } from './http-failure.ts';
import { readRefusal } from './page-reply.ts';

/** What bounds a page; shorter in tests. */
export type PageLimits = Required<
  Pick<HttpRequest, 'maxBytes' | 'headersTimeoutMs' | 'bodyIdleTimeoutMs' | 'deadlineMs'>
>;

const PAGE_LIMITS: PageLimits = {
  maxBytes: LIMITS.pageMaxBytes,
  headersTimeoutMs: LIMITS.pageHeadersTimeoutMs,
  bodyIdleTimeoutMs: LIMITS.pageBodyIdleTimeoutMs,
  deadlineMs: LIMITS.pageDeadlineMs,
};

/** Asks for pages of FHIR, which every kind of source serves in the same way, and gives them as they arrive. */
export function createPages({
  http,
  clock,
  limits = PAGE_LIMITS,
}: {
  readonly http: Http;
  readonly clock: Clock;
  readonly limits?: PageLimits;
}): Pick<Source, 'streamPage'> {
  return {
    streamPage: async ({ url, accessToken, signal }) => {
      const answer = await http.open({
        method: 'GET',
        url,
        headers: { accept: 'application/fhir+json', authorization: bearer(accessToken) },
        ...limits,
        errorMaxBytes: LIMITS.errorBodyMaxBytes,
        signal,
      });
      if (answer.kind === 'none') return readRefusal({ http: answer, now: clock.now() });
      const { status, chunks, cancel } = answer;
      if (status >= 200 && status < 300) return { kind: 'page', status, chunks: translated(chunks), cancel };
      return readRefusal({ http: await readRefusalBody(answer), now: clock.now() });
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
