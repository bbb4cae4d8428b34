import { z } from 'zod';
import { LIMITS, UNITS } from '../../core/limits.ts';
import { Secret } from '../../core/secret.ts';
import type { RefreshEnd, TokenGrant, TokenReply } from '../../core/token-outcome.ts';
import type { HttpReply, NoReply } from './http.ts';
import { retryAfterOf } from './retry-after.ts';

const endpointSchema = z.object({
  id: z.string().min(1).max(128),
  name: z.string().max(200).optional().catch(undefined),
  refreshable: z.boolean().optional().catch(undefined),
});

/** Seconds as a number, or as a text of digits that some servers send; whatever else stands there counts as not told. */
const secondsSchema = z
  .union([
    z.number(),
    z
      .string()
      .regex(/^\d+(\.\d+)?$/)
      .transform(Number),
  ])
  .pipe(z.number().min(0))
  .transform((seconds) => Math.min(seconds, LIMITS.tokenLifetimeMaxMs / UNITS.SECOND_MS));

/** `Bearer` in any case; Apigee, in front of many payers, says `BearerToken`. A type that is told and is another asks for proofs that we do not send. */
const tokenTypeSchema = z
  .string()
  .regex(/^\s*(?:bearer(?:token)?)?\s*$/i)
  .nullish();

/** An instant with its zone, as Blue Button writes it (`2025-09-05 19:17:53Z`) or as ISO 8601 has it; empty for research apps (contract, section 8.9). */
const grantEndSchema = z
  .string()
  .regex(/^\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2})$/)
  .transform((text) => Date.parse(text.replace(' ', 'T')))
  .pipe(z.number());

/** All shapes of a grant in one: Flexpa's own fields, the standard ones and Blue Button's; all optional but the access token (contract, sections 1.2 to 1.4). */
const grantSchema = z.object({
  access_token: z.string().min(1),
  token_type: tokenTypeSchema,
  expires_in: secondsSchema.nullish().catch(undefined),
  refresh_token: z.string().min(1).nullish().catch(undefined),
  refresh_expires_in: secondsSchema.nullish().catch(undefined),
  timeUntilMaxAuth: secondsSchema.nullish().catch(undefined),
  access_grant_expiration: grantEndSchema.nullish().catch(undefined),
  patient: z.string().min(1).max(128).nullish().catch(undefined),
  endpoint: endpointSchema.nullish().catch(undefined),
});

const errorSchema = z.object({ error: z.string().max(100) });

/** What a token endpoint answered, as facts: status, OAuth code, grant. Never rejects, and lets no text of the body through. */
export function readTokenReply({ http, now }: { readonly http: HttpReply; readonly now: number }): TokenReply {
  if (http.kind === 'none') {
    return { kind: 'no_reply', reason: noReplyReasonOf(http), sent: http.sent };
  }
  const body = parseJson(http.bytes);
  const error = errorSchema.safeParse(body);
  return {
    kind: 'reply',
    status: http.status,
    oauthCode: error.success ? error.data.error : null,
    grant: http.status >= 200 && http.status < 300 ? grantOf(body) : null,
    retryAfterMs: retryAfterOf({ headers: http.headers, now }),
  };
}

/** Nothing of a token is known to have arrived where the connection broke, or where there never was one. */
function noReplyReasonOf({ reason }: NoReply): Extract<TokenReply, { readonly kind: 'no_reply' }>['reason'] {
  return reason === 'cut_short' || reason === 'address_refused' ? 'connection' : reason;
}

/** JSON of outside bytes, or undefined. */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return value;
  } catch {
    return undefined;
  }
}

function grantOf(body: unknown): TokenGrant | null {
  const parsed = grantSchema.safeParse(body);
  if (!parsed.success) return null;
  const { data } = parsed;
  const lifetimeS = data.expires_in ?? 0;
  return {
    accessToken: new Secret(data.access_token),
    refreshToken: typeof data.refresh_token === 'string' ? new Secret(data.refresh_token) : null,
    accessLifetimeMs: lifetimeS === 0 ? unknownLifetimeMs(data.refresh_token) : lifetimeS * UNITS.SECOND_MS,
    refreshEnd: refreshEndOf(data.refresh_expires_in),
    authorizationEndsInMs: typeof data.timeUntilMaxAuth === 'number' ? data.timeUntilMaxAuth * UNITS.SECOND_MS : null,
    accessGrantEndsAt: data.access_grant_expiration ?? null,
    patient: data.patient ?? null,
    endpoint: data.endpoint ? endpointOf(data.endpoint) : null,
  };
}

/** A short guess makes a refreshable token be refreshed early; one that cannot be refreshed would cost its data, so there the cap holds. */
function unknownLifetimeMs(refreshToken: string | null | undefined): number {
  return typeof refreshToken === 'string' ? LIMITS.accessTokenUnknownLifetimeMs : LIMITS.oneTimeMaxMs;
}

/** `null` is unknown, `0` never ends: not "now" (contract, section 7, item 7). */
function refreshEndOf(seconds: number | null | undefined): RefreshEnd {
  if (seconds === null || seconds === undefined) return { kind: 'unknown' };
  return seconds === 0 ? { kind: 'never' } : { kind: 'after', lifetimeMs: seconds * UNITS.SECOND_MS };
}

function endpointOf({ id, name, refreshable }: z.infer<typeof endpointSchema>): NonNullable<TokenGrant['endpoint']> {
  return {
    id,
    ...(name === undefined ? {} : { name }),
    ...(refreshable === undefined ? {} : { refreshable }),
  };
}
