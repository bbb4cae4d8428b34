import { z } from 'zod';
import type { PageReply } from '../../core/ports/upstream.ts';
import type { HttpReply } from './http.ts';
import { retryAfterOf } from './retry-after.ts';
import { parseJson } from './token-reply.ts';

const outcomeSchema = z.object({
  resourceType: z.literal('OperationOutcome'),
  issue: z.array(z.object({ code: z.string().max(100).catch('') })).max(1_000),
});

/**
 * What a FHIR endpoint answered. A 429 is judged by its issue code and not by its status: `transient` means the first sync still runs,
 * `throttled` a real quota (contract, sections 2 and 3.7). Blue Button says 404 where a whole grant has ended; other servers mean the type.
 */
export function readPageReply({ http, now }: { readonly http: HttpReply; readonly now: number }): PageReply {
  if (http.kind === 'none') return { kind: 'unavailable', reason: http.reason };
  const { status, headers, bytes } = http;
  if (status >= 200 && status < 300) return { kind: 'page', bytes };
  if (status >= 300 && status < 400) return { kind: 'unavailable', reason: 'redirect' };
  const codes = issueCodes(bytes);
  switch (status) {
    case 401:
      return { kind: 'token_rejected' };
    case 403:
    case 404:
    case 410:
      return { kind: 'type_refused' };
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
