import { z } from 'zod';
import { AT_ENDS, END_KINDS, PURGE_REASONS, STATES } from '../core/authorization.ts';
import { PerennialError } from '../core/errors.ts';
import { LIMITS, UNITS } from '../core/limits.ts';
import { NETWORKS } from '../core/networks.ts';

/**
 * What crosses our border on the wire, once: the HTTP API, the OpenAPI document, the client and the sealed intake all use these schemas.
 */

const YEAR_S = 366 * 24 * 3_600;
const TOKEN_MAX_CHARS = 16_384;

/** Opaque on purpose: an id stands in job keys, logs and the dashboard, so `@` and spaces (e-mail, names) are refused. */
export const idSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, 'must be 1 to 128 letters, digits, dots, dashes or underscores')
  .describe("The caller's own id of the authorization; opaque, no e-mail address, no name");

/** RFC 6749, appendix A: tokens are of visible ASCII; a stray newline would fail each request without ever being sent. */
const tokenSchema = z
  .string()
  .max(TOKEN_MAX_CHARS, 'is too long')
  .regex(/^[\x21-\x7e]+$/, 'must be visible ASCII without spaces');

/** Text for people: no control characters, and well-formed, or the database's JSON refuses it. */
const textSchema = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .refine((text) => text.isWellFormed() && !/\p{Cc}/u.test(text), 'must be text without control characters');
const seconds = (max: number) => z.number().min(0, 'must not be negative').max(max, 'is too large');

const endpointSchema = z
  .strictObject({
    id: textSchema(128),
    name: textSchema(200).optional(),
    refreshable: z.boolean().optional(),
    maxAuthorizationPeriodSeconds: seconds(20 * YEAR_S).optional(),
  })
  .describe('The payer or EHR behind the source');

const cadenceSchema = z.strictObject({
  pullEverySeconds: seconds(LIMITS.periodMaxMs / UNITS.SECOND_MS)
    .min(LIMITS.periodMinMs / UNITS.SECOND_MS, 'is too small')
    .optional(),
  lateAfterSeconds: seconds(YEAR_S)
    .min(LIMITS.periodMinMs / UNITS.SECOND_MS, 'is too small')
    .optional(),
});

const instantText = z.iso.datetime({ offset: true, error: 'must be an ISO 8601 instant with an offset' });

const requestShape = z.strictObject({
  id: idSchema,
  source: z.string().min(1).max(64).describe('The name of a configured source'),
  usage: z.enum(['ONE_TIME', 'MULTIPLE']),
  network: z.enum(NETWORKS),
  endpoint: endpointSchema,
  patient: z
    .string()
    .regex(/^(Patient\/)?[A-Za-z0-9.-]{1,64}$/, 'must be Patient/<id>')
    .optional()
    .describe('Needed with an access token; an exchange tells it otherwise'),
  publicToken: tokenSchema.optional().describe('A single-use token that we exchange'),
  accessToken: tokenSchema.optional(),
  expiresIn: seconds(YEAR_S).optional().describe('Seconds the access token lives, from `issuedAt`'),
  refreshToken: tokenSchema.optional(),
  refreshExpiresIn: seconds(20 * YEAR_S)
    .optional()
    .describe('Seconds the refresh token lives, from `issuedAt`; 0 means it never expires'),
  issuedAt: z.iso
    .datetime({ offset: true, error: 'must be an ISO 8601 instant with an offset' })
    .optional()
    .describe('When the tokens were issued; now, when left out'),
  accessGrantExpiration: instantText
    .optional()
    .describe("When the patient's grant itself ends, where the source says so (Blue Button's access_grant_expiration)"),
  consentEndsAt: instantText
    .optional()
    .describe("When the patient's consent that you keep ends; nothing is done after it"),
  reauthorizes: z
    .literal(true)
    .optional()
    .describe(
      'These are the tokens of a new consent and take the place of living ones; a dead authorization needs no word',
    ),
  atEnd: z
    .enum(AT_ENDS)
    .optional()
    .describe(
      'What the purge does at the source: nothing, revoke the tokens, or expunge the data there and then revoke; left out, the settings of the source say it',
    ),
  cadence: cadenceSchema.optional().describe("Differs from the network's cadence for this authorization alone"),
});

/** A request to keep one authorization: exactly one kind of token, and what belongs to it. */
export const authorizationRequestSchema = requestShape.superRefine((request, context) => {
  const fault = (field: string, message: string) => context.addIssue({ code: 'custom', path: [field], message });
  if (request.publicToken === undefined && request.accessToken === undefined) {
    fault('publicToken', 'is missing: give publicToken or accessToken');
  }
  if (request.publicToken !== undefined) {
    for (const field of ['accessToken', 'refreshToken', 'expiresIn', 'refreshExpiresIn', 'issuedAt'] as const) {
      if (request[field] !== undefined) fault(field, 'does not go with publicToken');
    }
    return;
  }
  if (request.accessToken !== undefined && request.patient === undefined)
    fault('patient', 'is needed with accessToken');
  if (request.refreshToken === undefined && request.refreshExpiresIn !== undefined) {
    fault('refreshToken', 'is needed with refreshExpiresIn');
  }
  if (request.accessToken === undefined && request.refreshToken !== undefined) {
    fault('accessToken', 'is needed with refreshToken');
  }
});

export type AuthorizationRequest = z.infer<typeof authorizationRequestSchema>;

const instant = z.iso.datetime().nullable();

/** What a caller sees of an authorization. */
export const authorizationViewSchema = z.object({
  id: idSchema,
  service: z.string(),
  source: z.string(),
  network: z.enum(NETWORKS),
  endpoint: endpointSchema.extend({ id: z.string(), name: z.string().optional() }),
  usage: z.enum(['ONE_TIME', 'MULTIPLE']),
  usageRequested: z.enum(['ONE_TIME', 'MULTIPLE']),
  usageReason: z.string().describe('as_requested, or why MULTIPLE became ONE_TIME'),
  state: z.enum(STATES),
  why: z.string().describe('The reason of the state, from a closed set'),
  acceptedAt: z.iso.datetime(),
  endsAt: instant.describe('The earliest known end: by then the patient has to be asked again'),
  endsBecause: z.enum(END_KINDS).nullable().describe('Which of the known ends that is'),
  ends: z.object({ refreshToken: instant, maxAuthorization: instant, accessGrant: instant, consent: instant }),
  trouble: z
    .object({
      kind: z.enum(['misconfigured', 'outage', 'throttled', 'unsure']),
      since: z.iso.datetime(),
      until: z.iso.datetime(),
    })
    .nullable()
    .describe(
      'What stands between a living authorization and its next tokens, and until when no token is offered again',
    ),
  nextRunAt: instant,
  periodSeconds: z.number().nullable(),
  purgeDueAt: instant.describe('From then on reads refuse'),
  purgeReason: z.enum(PURGE_REASONS).nullable().describe('Why it is or will be purged'),
  atEnd: z.enum(AT_ENDS).nullable().describe('What the purge is to do at the source; null leaves it to the settings'),
  purgedAt: instant,
  lastPull: z
    .object({ at: z.iso.datetime(), result: z.enum(['complete', 'partial', 'failed']), durationMs: z.number() })
    .nullable(),
  freshness: z.object({
    asOf: instant.describe('The records are known to be what the source had at this instant'),
    ageSeconds: z.number().nullable(),
    promiseSeconds: z.number().describe('The age from which records count as late'),
    late: z.boolean(),
  }),
  failedRuns: z.number(),
  lastError: z.string().nullable().describe('A code of the error catalogue'),
});

export type AuthorizationView = z.infer<typeof authorizationViewSchema>;

export const changeSchema = z.object({
  cursor: z.number().int(),
  at: z.iso.datetime(),
  resourceType: z.string(),
  added: z.array(z.string()),
  modified: z.array(z.string()),
  removed: z.array(z.string()),
});

export type ChangeView = z.infer<typeof changeSchema>;

export const errorSchema = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    field: z.string().optional().describe('What was wrong, by name; never its value'),
  }),
});

/**
 * The first fault of a failed parse as one line that names the field and says what is wrong with it; never the value.
 * Only our own messages are passed on, because zod's may quote what it got.
 */
export function faultOf(error: z.ZodError, prefix = ''): string {
  const issue = error.issues[0];
  if (issue === undefined) return `${prefix}body`;
  if (issue.code === 'unrecognized_keys')
    return `${[...issue.path, namedKey(issue.keys)].join('.')} is an unknown field`;
  const field = `${prefix}${issue.path.join('.')}` || 'body';
  return `${field} ${problemOf(issue)}`;
}

/** A key is named only if it looks like one: somebody may have put a value there. */
function namedKey([key]: readonly string[]): string {
  return key !== undefined && /^[A-Za-z_][A-Za-z0-9_]{0,31}$/.test(key) ? key : '?';
}

function problemOf(issue: z.core.$ZodIssue): string {
  if (issue.code === 'custom' || issue.code === 'invalid_format') return issue.message;
  if (issue.code === 'invalid_type') return `must be ${issue.expected}`;
  if (issue.code === 'invalid_union') return 'is of no known kind';
  if (issue.code === 'invalid_value') return `must be one of ${issue.values.join(', ')}`;
  if (issue.code === 'too_big') return 'is too large';
  if (issue.code === 'too_small') return 'is too small';
  return 'is not valid';
}

/** Parses one authorization request. @throws PerennialError `invalid_request` naming the field. */
export function parseAuthorizationRequest(value: unknown): AuthorizationRequest {
  const parsed = authorizationRequestSchema.safeParse(value);
  if (!parsed.success) throw new PerennialError('invalid_request', { field: faultOf(parsed.error) });
  return parsed.data;
}
