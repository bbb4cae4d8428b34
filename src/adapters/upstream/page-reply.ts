import { z } from 'zod';
import type { PageRefused } from '../../core/ports/upstream.ts';
import type { HttpReply } from './http.ts';
import { retryAfterOf } from './retry-after.ts';
import { parseJson } from './token-reply.ts';

const outcomeSchema = z.object({
  resourceType: z.literal('OperationOutcome'),
  issue: z.array(z.object({ code: z.string().max(100).catch('') })).max(1_000),
});

/**
 * What an answer means that is no page. A 429 is judged by its issue code and not by its status: `transient` means the first sync still runs,
 * `throttled` a real quota (contract, sections 2 and 3.7). With 404 and 410 Blue Button means that the whole grant has ended, other servers the type or
 * the patient; 403 is the type.
 */
export function readRefusal({ http, now }: { readonly http: HttpReply; readonly now: number }): PageRefused {
  if (http.kind === 'none') {
    return { kind: 'unavailable', reason: http.reason === 'withheld' ? 'cancelled' : http.reason };
  }
  const { status, headers, bytes } = http;
  if (status >= 300 && status < 400) return { kind: 'unavailable', reason: 'redirect' };
  const codes = issueCodes(bytes);
  switch (status) {
    case 400:
      // A server that wants other parameters for this type says so in an OperationOutcome; a gateway's 400 says nothing of the type.
      return codes.length > 0 ? { kind: 'type_refused' } : { kind: 'unavailable', reason: 'unexpected' };
    case 401:
      return { kind: 'token_rejected' };
    case 403:
      return { kind: 'type_refused' };
    case 404:
    case 410:
      return { kind: 'not_found' };
    case 422:
      return codes.includes('processing') ? { kind: 'sync_failed' } : { kind: 'type_refused' };
    case 429: {
      const retryAfterMs = retryAfterOf({ headers, now });
      return { kind: codes.includes('transient') ? 'syncing' : 'throttled', retryAfterMs };
    }
    default:
      return status >= 500
        ? { kind: 'unavailable', reason: 'server_error' }
        : { kind: 'unavailable', reason: 'unexpected' };
  }
}

function issueCodes(bytes: Uint8Array): readonly string[] {
  const parsed = outcomeSchema.safeParse(parseJson(bytes));
  return parsed.success ? parsed.data.issue.map(({ code }) => code) : [];
}
