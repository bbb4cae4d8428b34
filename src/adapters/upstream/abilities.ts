import { z } from 'zod';
import { LIMITS } from '../../core/limits.ts';
import type { Source } from '../../core/ports/upstream.ts';
import type { Http } from './http.ts';
import { parseJson } from './token-reply.ts';

/** What is read of a CapabilityStatement (FHIR R4, capabilitystatement.html); all the rest of it, and what has another shape, says nothing. */
const statementSchema = z.object({
  resourceType: z.literal('CapabilityStatement'),
  rest: z.array(
    z.object({
      resource: z
        .array(
          z.object({
            type: z.string().regex(/^[A-Z][A-Za-z]{1,63}$/),
            searchParam: z.array(z.object({ name: z.string() })).catch([]),
          }),
        )
        .catch([]),
    }),
  ),
});

/** Asks a FHIR server what it can do, without a token: the statement is open to everybody (FHIR R4, http.html#capabilities). */
export function createAbilities({
  http,
  fhirBaseUrl,
}: {
  readonly http: Http;
  readonly fhirBaseUrl: string;
}): Source['abilities'] {
  const url = `${fhirBaseUrl.replace(/\/$/, '')}/metadata`;
  return async ({ signal }) => {
    const reply = await http.send({
      method: 'GET',
      url,
      headers: { accept: 'application/fhir+json' },
      maxBytes: LIMITS.abilitiesMaxBytes,
      headersTimeoutMs: LIMITS.pageHeadersTimeoutMs,
      deadlineMs: LIMITS.pageHeadersTimeoutMs,
      signal,
    });
    if (reply.kind === 'none' || reply.status !== 200) return null;
    const parsed = statementSchema.safeParse(parseJson(reply.bytes));
    if (!parsed.success) return null;
    const resources = parsed.data.rest.flatMap(({ resource }) => resource);
    const searchable = resources.filter(({ searchParam }) => searchParam.some(({ name }) => name === '_lastUpdated'));
    return { lastUpdated: [...new Set(searchable.map(({ type }) => type))] };
  };
}
