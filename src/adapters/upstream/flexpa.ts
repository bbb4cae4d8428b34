import { z } from 'zod';
import { UNITS } from '../../core/limits.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Introspection, Source } from '../../core/ports/upstream.ts';
import { Secret } from '../../core/secret.ts';
import { createAbilities } from './abilities.ts';
import { basic, bearer } from './credentials.ts';
import { readFlexpaHook } from './flexpa-hook.ts';
import { refOfToken } from './flexpa-ref.ts';
import type { Http, HttpReply } from './http.ts';
import { createPages } from './pages.ts';
import { assumedRefreshLifetimeMs, type FlexpaSourceConfig, purgeDeadAfterMs } from './source-config.ts';
import { parseJson, readTokenReply } from './token-reply.ts';
import { sendTokenRequest, type TokenRequest } from './token-request.ts';

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
  const webhookSecrets = config.webhookSecret.map((secret) => new Secret(secret));
  // Flexpa's own SDK does not form-encode before base64; its keys are of characters that encode to themselves, so both readings agree.
  const authorization = basic({ user: config.publishableKey, password: secretKey, encoding: 'raw' });
  const urls = {
    exchange: config.exchangeUrl ?? `${base}/link/exchange`,
    token: config.tokenUrl ?? `${base}/link/token`,
    introspect: config.introspectUrl ?? `${base}/link/introspect`,
    revoke: config.revokeUrl ?? `${base}/link/revoke`,
  };
  const fhirBaseUrl = (config.fhirBaseUrl ?? `${base}/fhir`).replace(/\/$/, '');
  const { expungePath, expungeMethod } = config;
  const call = (request: TokenRequest) => sendTokenRequest({ http: http.tokens, request });
  return {
    name,
    fhirBaseUrl: config.fhirBaseUrl ?? `${base}/fhir`,
    pullBy: config.pullBy,
    resourceTypes: config.resourceTypes,
    searchQuery: config.searchQuery,
    patientQuery: config.patientQuery ?? config.searchQuery,
    revokeOnPurge: config.revokeOnPurge,
    purgeDeadAfterMs: purgeDeadAfterMs(config),
    incremental: config.incremental,
    reconcileEveryMs: config.reconcileEveryDays * UNITS.DAY_MS,
    abilities: createAbilities({ http: http.pages, fhirBaseUrl: config.fhirBaseUrl ?? `${base}/fhir` }),
    assumedRefreshLifetimeMs: assumedRefreshLifetimeMs(config),
    refOfToken: (accessToken) => refOfToken({ source: name, accessToken }),
    readHook:
      webhookSecrets.length === 0
        ? null
        : (delivery) => readFlexpaHook({ source: name, secrets: webhookSecrets, ...delivery }),
    exchange: async ({ publicToken, signal, mayStillSend }) => {
      const body = JSON.stringify({ public_token: publicToken.reveal(), secret_key: secretKey.reveal() });
      const headers = { 'content-type': JSON_TYPE };
      const reply = await call({ method: 'POST', url: urls.exchange, headers, body, signal, mayStillSend });
      return readTokenReply({ http: reply, now: clock.now() });
    },
    refresh: async ({ refreshToken, signal, mayStillSend }) => {
      const form = { grant_type: 'refresh_token', refresh_token: refreshToken.reveal() };
      const body = new URLSearchParams(form).toString();
      const headers = { 'content-type': FORM, authorization };
      const reply = await call({ method: 'POST', url: urls.token, headers, body, signal, mayStillSend });
      return readTokenReply({ http: reply, now: clock.now() });
    },
    ...createPages({ http: http.pages, clock }),
    introspect: async ({ token, of, signal }) => {
      // The token asked about is the bearer of the question itself, which a refresh token cannot be (contract, section 1.5).
      if (of === 'refresh_token') return { kind: 'unknown' };
      const headers = { authorization: bearer(token) };
      const reply = await call({ method: 'GET', url: urls.introspect, headers, signal });
      return introspectionOf({ reply, now: clock.now() });
    },
    revoke: async ({ accessToken, signal }) => {
      if (accessToken === null) return 'unconfirmed';
      const headers = { 'content-type': JSON_TYPE, authorization: bearer(accessToken) };
      const body = JSON.stringify({ secret_key: secretKey.reveal() });
      const reply = await call({ method: 'POST', url: urls.revoke, headers, body, signal });
      return isDone(reply) ? 'revoked' : 'unconfirmed';
    },
    expunge:
      expungePath === null
        ? null
        : async ({ accessToken, patient, signal }) => {
            const id = encodeURIComponent(patient.reveal().replace(/^Patient\//, ''));
            const url = `${fhirBaseUrl}/${expungePath.replaceAll('$PATIENT_ID', () => id)}`;
            const headers = { accept: 'application/fhir+json', authorization: bearer(accessToken) };
            return isDone(await call({ method: expungeMethod, url, headers, signal })) ? 'expunged' : 'unconfirmed';
          },
  };
}

function isDone(reply: HttpReply): boolean {
  return reply.kind === 'reply' && reply.status >= 200 && reply.status < 300;
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
