import { LIMITS } from '../../core/limits.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Source } from '../../core/ports/upstream.ts';
import { bearer } from './credentials.ts';
import type { Http } from './http.ts';
import { readPageReply } from './page-reply.ts';

/** Fetches pages of FHIR, which every kind of source serves in the same way. */
export function createFetchPage({ http, clock }: { readonly http: Http; readonly clock: Clock }): Source['fetchPage'] {
  return async ({ url, accessToken, signal }) => {
    const reply = await http.send({
      method: 'GET',
      url,
      headers: { accept: 'application/fhir+json', authorization: bearer(accessToken) },
      maxBytes: LIMITS.pageMaxBytes,
      headersTimeoutMs: LIMITS.pageHeadersTimeoutMs,
      deadlineMs: LIMITS.pageDeadlineMs,
      signal,
    });
    return readPageReply({ http: reply, now: clock.now() });
  };
}
