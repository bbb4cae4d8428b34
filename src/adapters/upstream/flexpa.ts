import { z } from 'zod';
import { LIMITS } from '../../core/limits.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Introspection, Source } from '../../core/ports/upstream.ts';
import { Secret } from '../../core/secret.ts';
import type { Http, HttpReply } from './http.ts';
import { readPageReply } from './page-reply.ts';
import type { FlexpaSourceConfig } from './source-config.ts';
import { parseJson, readTokenReply } from './token-reply.ts';

const introspectionSchema = z.object({ exp: z.number().optional(), state: z.string().optional() });
const FORM = 'application/x-www-form-urlencoded';
const JSON_TYPE = 'application/json';
const ENDED_STATES: ReadonlySet<string> = new Set(['REVOKED', 'REFRESHED']);

/**
 * A registration at Flexpa, spoken to as the contract has it: exchange and revoke carry the secret key in a JSON body, refresh is a form
 * with Basic authentication, everything else is Bearer.
 */
export function createFlexpaSource({
  name,
  config,
  http,
  clock,
}: {
  readonly name: string;
  readonly config: FlexpaSourceConfig;
  readonly http: { readonly tokens: Http; readonly pages: Http };
  readonly clock: Clock;
}): Source {
  const base = config.baseUrl.replace(/\/$/, '');
  const secretKey = new Secret(config.secretKey);
  const urls = {
    exchange: config.exchangeUrl ?? `${base}/link/exchange`,
    token: config.tokenUrl ?? `${base}/link/token`,
    introspect: config.introspectUrl ?? `${base}/link/introspect`,
    revoke: config.revokeUrl ?? `${base}/link/revoke`,
  };
  const call = (request: {
    readonly method: 'GET' | 'POST';
    readonly url: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body?: string;
    readonly signal: AbortSignal;
  }): Promise<HttpReply> =>
    http.tokens.send({
      ...request,
      maxBytes: LIMITS.tokenReplyMaxBytes,
      headersTimeoutMs: LIMITS.tokenRequestTimeoutMs,
      deadlineMs: LIMITS.tokenRequestTimeoutMs,
    });
  return {
    name,
    fhirBaseUrl: config.fhirBaseUrl ?? `${base}/fhir`,
    pullBy: config.pullBy,
    resourceTypes: config.resourceTypes,
    searchQuery: config.searchQuery,
    revokeOnPurge: config.revokeOnPurge,
    exchange: async ({ publicToken, signal }) => {
      const body = JSON.stringify({ public_token: publicToken.reveal(), secret_key: secretKey.reveal() });
      const reply = await call({
        method: 'POST',
        url: urls.exchange,
        headers: { 'content-type': JSON_TYPE },
        body,
        signal,
      });
      return readTokenReply({ http: reply, now: clock.now() });
    },
    refresh: async ({ refreshToken, signal }) => {
      const body = new URLSearchParams({
        grant_type: 'refresh_token',
        refresh_token: refreshToken.reveal(),
      }).toString();
      const headers = { 'content-type': FORM, authorization: basic(config.publishableKey, secretKey) };
      return readTokenReply({
        http: await call({ method: 'POST', url: urls.token, headers, body, signal }),
        now: clock.now(),
      });
    },
    fetchPage: async ({ url, accessToken, signal }) => {
      const reply = await http.pages.send({
        method: 'GET',
        url,
        headers: { accept: 'application/fhir+json', authorization: bearer(accessToken) },
        maxBytes: LIMITS.pageMaxBytes,
        headersTimeoutMs: LIMITS.pageHeadersTimeoutMs,
        deadlineMs: LIMITS.pageDeadlineMs,
        signal,
      });
      return readPageReply({ http: reply, now: clock.now() });
    },
    introspect: async ({ accessToken, signal }) => {
      const headers = { authorization: bearer(accessToken) };
      return introspectionOf({
        reply: await call({ method: 'GET', url: urls.introspect, headers, signal }),
        now: clock.now(),
      });
    },
    revoke: async ({ accessToken, signal }) => {
      const headers = { 'content-type': JSON_TYPE, authorization: bearer(accessToken) };
      const body = JSON.stringify({ secret_key: secretKey.reveal() });
      const reply = await call({ method: 'POST', url: urls.revoke, headers, body, signal });
      return reply.kind === 'reply' && reply.status >= 200 && reply.status < 300 ? 'revoked' : 'unconfirmed';
    },
  };
}

function bearer(token: Secret): string {
  return `Bearer ${token.reveal()}`;
}

/** Flexpa's own SDK does not form-encode before base64; its keys are of characters that encode to themselves, so both readings agree. */
function basic(user: string, password: Secret): string {
  return `Basic ${Buffer.from(`${user}:${password.reveal()}`).toString('base64')}`;
}

/** Flexpa's introspection is not RFC 7662: no `active` field, and an expired token may answer 401 or 200 with a past `exp` (contract, section 1.5). */
function introspectionOf({ reply, now }: { readonly reply: HttpReply; readonly now: number }): Introspection {
  if (reply.kind === 'none') return { kind: 'unknown' };
  if (reply.status === 401) return { kind: 'inactive' };
  const parsed = introspectionSchema.safeParse(parseJson(reply.bytes));
  if (reply.status !== 200 || !parsed.success) return { kind: 'unknown' };
  const { exp, state } = parsed.data;
  const expiresAt = exp === undefined ? null : exp * 1_000;
  const ended = (expiresAt !== null && expiresAt <= now) || (state !== undefined && ENDED_STATES.has(state));
  return ended ? { kind: 'inactive' } : { kind: 'active', expiresAt };
}
