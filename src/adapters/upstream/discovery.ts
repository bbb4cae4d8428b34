import { z } from 'zod';
import type { Instant } from '../../core/clock.ts';
import { LIMITS } from '../../core/limits.ts';
import type { Http, NoReply } from './http.ts';
import { parseJson } from './token-reply.ts';
import { isLoopbackUrl, mayCarryToken } from './urls.ts';

/** Where one SMART server takes token requests. */
export type Endpoints = { readonly token: string; readonly introspect: string | null; readonly revoke: string | null };

export type Discovered =
  | { readonly kind: 'known'; readonly endpoints: Endpoints }
  | { readonly kind: 'unavailable'; readonly reason: 'timeout' | 'connection' | 'too_large' | 'cancelled' };

export type Discovery = (request: { readonly signal: AbortSignal }) => Promise<Discovered>;

const endpointSchema = z.string().nullish().catch(null);
const documentSchema = z.object({
  token_endpoint: z.string(),
  introspection_endpoint: endpointSchema,
  revocation_endpoint: endpointSchema,
});

/**
 * Asks a server for its `.well-known/smart-configuration`, below the FHIR base as SMART has it, once for all who want to know at the same time, and keeps
 * the answer for a day. Where a renewal fails, the old answer stays good: a token endpoint that works is worth more than a fresh address of it.
 */
export function createDiscovery({
  fhirBaseUrl,
  http,
  now,
}: {
  readonly fhirBaseUrl: string;
  readonly http: Http;
  readonly now: () => Instant;
}): Discovery {
  let known: { readonly endpoints: Endpoints; readonly askAgainAt: Instant } | null = null;
  let asking: Promise<Discovered> | null = null;
  const ask = async (): Promise<Discovered> => {
    const discovered = await fetchDocument({ fhirBaseUrl, http });
    asking = null;
    if (discovered.kind === 'known') {
      known = { endpoints: discovered.endpoints, askAgainAt: now() + LIMITS.discoveryFreshMs };
      return discovered;
    }
    if (known === null) return discovered;
    // Not at each use: a dead address would hold every refresh up for as long as its time allows.
    known = { endpoints: known.endpoints, askAgainAt: now() + LIMITS.retryFirstMs };
    return { kind: 'known', endpoints: known.endpoints };
  };
  return ({ signal }) => {
    if (known !== null && now() < known.askAgainAt) {
      return Promise.resolve({ kind: 'known', endpoints: known.endpoints });
    }
    asking ??= ask();
    return unlessAborted({ asking, signal });
  };
}

async function fetchDocument({
  fhirBaseUrl,
  http,
}: {
  readonly fhirBaseUrl: string;
  readonly http: Http;
}): Promise<Discovered> {
  const reply = await http.send({
    method: 'GET',
    url: `${fhirBaseUrl}/.well-known/smart-configuration`,
    headers: { accept: 'application/json' },
    maxBytes: LIMITS.discoveryMaxBytes,
    headersTimeoutMs: LIMITS.tokenRequestTimeoutMs,
    deadlineMs: LIMITS.tokenRequestTimeoutMs,
    // Asked for all who wait, so that none of them can end it for the others; it ends by its deadline.
    signal: new AbortController().signal,
  });
  if (reply.kind === 'none') return { kind: 'unavailable', reason: reasonOf(reply) };
  const endpoints = reply.status === 200 ? endpointsOf({ bytes: reply.bytes, fhirBaseUrl }) : null;
  return endpoints === null ? { kind: 'unavailable', reason: 'connection' } : { kind: 'known', endpoints };
}

function reasonOf({ reason }: NoReply) {
  return reason === 'cut_short' || reason === 'withheld' || reason === 'address_refused' ? 'connection' : reason;
}

function endpointsOf({
  bytes,
  fhirBaseUrl,
}: {
  readonly bytes: Uint8Array;
  readonly fhirBaseUrl: string;
}): Endpoints | null {
  const parsed = documentSchema.safeParse(parseJson(bytes));
  if (!parsed.success) return null;
  const endpoint = (text: string | null | undefined) => endpointOf({ text, fhirBaseUrl });
  const token = endpoint(parsed.data.token_endpoint);
  if (token === null) return null;
  const { introspection_endpoint: introspect, revocation_endpoint: revoke } = parsed.data;
  return { token, introspect: endpoint(introspect), revoke: endpoint(revoke) };
}

/**
 * An endpoint that may be given tokens and client secrets. Servers off the standard name it relative to their FHIR base (contract, 8.1). A server on
 * loopback names loopback only: a sandbox's document must not lead a fast clock, or test credentials, to a real server.
 */
function endpointOf({
  text,
  fhirBaseUrl,
}: {
  readonly text: string | null | undefined;
  readonly fhirBaseUrl: string;
}): string | null {
  if (typeof text !== 'string' || text.trim() === '') return null;
  const url = URL.parse(text, `${fhirBaseUrl}/`);
  if (url === null || url.username !== '' || url.password !== '' || url.hash !== '') return null;
  const allowed = isLoopbackUrl(fhirBaseUrl)
    ? isLoopbackUrl(url.href) && mayCarryToken(url)
    : url.protocol === 'https:';
  return allowed ? url.href : null;
}

/** A caller with less time than the answer takes goes on without it; the answer is kept for the next. */
function unlessAborted({
  asking,
  signal,
}: {
  readonly asking: Promise<Discovered>;
  readonly signal: AbortSignal;
}): Promise<Discovered> {
  return new Promise((resolve) => {
    const abort = () => resolve({ kind: 'unavailable', reason: 'cancelled' });
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    void asking.then((discovered) => {
      signal.removeEventListener('abort', abort);
      resolve(discovered);
    });
  });
}
