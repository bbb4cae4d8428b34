import { z } from 'zod';
import { UNITS } from './limits.ts';

const durationMs = z.number().int().nonnegative();
const retryHint = z.enum(['both', 'retry-after', 'x-retry-after', 'http-date', 'ratelimit', 'none']);

const knobsSchema = z.strictObject({
  /** What a refresh token that was already spent answers. */
  oldRefreshToken: z.enum(['strict', 'grace-same', 'grace-new', 'family-revoke', 'never']),
  refreshGraceMs: durationMs,
  refreshReplyHasRefreshToken: z.boolean(),
  oldAccessToken: z.enum(['dies', 'lives']),
  expiredIntrospect: z.enum(['401', '200']),
  fhir401Body: z.enum(['boom', 'operation-outcome']),
  syncBlocks: z.enum(['first', 'every']),
  /** What FHIR answers once a grant is over: 401, or 404 as Blue Button does (contract 8.9). */
  endedGrantStatus: z.union([z.literal(401), z.literal(404)]),
  /** How long the grant itself lasts, told as `access_grant_expiration` in token replies (8.9); null says nothing. */
  accessGrantMs: durationMs.nullable(),
  /** `expires_in` with a fraction of a second (8.9). */
  fractionalExpiresIn: z.boolean(),
  /** How long a sync takes; reads answer 429 transient meanwhile. */
  initialSyncMs: durationMs,
  syncFails: z.boolean(),
  syncFrequency: z.enum(['daily', 'weekly', 'monthly']),
  transientHint: retryHint,
  transientRetryAfterMs: durationMs,
  refreshExpiresIn: z.enum(['lifetime', 'zero', 'null']),
  timeUntilMaxAuth: z.enum(['unknown', 'indefinite', 'seconds']),
  /** Overrides the endpoint's own maximum authorization period; null leaves it. */
  maxAuthPeriodMs: durationMs.nullable(),
  bundleTotal: z.boolean(),
  tokenShape: z.enum(['v1', 'v2']),
  errorTextField: z.enum(['message', 'error_description']),
  authorizationsPerConsent: z.number().int().min(1).max(20),
  accessTokenMs: durationMs,
  refreshTokenMs: durationMs,
  publicTokenMs: durationMs,
  /** FHIR requests allowed per window; null is no limit. */
  throttleRequests: z.number().int().nonnegative().nullable(),
  throttleWindowMs: durationMs.min(1),
  throttleHint: retryHint,
  slowFhirMs: durationMs,
  slowTokenMs: durationMs,
  refusedTypes: z.array(z.string()).max(50),
  refusedStatus: z.union([z.literal(403), z.literal(404)]),
  /** The nth FHIR request of an authorization fails (once, or every nth when repeated). */
  pageFaultOnRequest: z.number().int().min(1).nullable(),
  pageFaultRepeats: z.boolean(),
  pageFaultKind: z.enum(['status-500', 'html', 'reset', 'cut']),
  tokenOutage: z.enum(['none', '429', '500', '503', 'html', 'not-json']),
  /** The next N refreshes are carried out and their replies thrown away. */
  lostReplies: z.number().int().nonnegative(),
  invalidClient: z.boolean(),
  deadRefreshStatus: z.union([z.literal(400), z.literal(401), z.literal(403)]),
  deadRefreshCode: z.enum(['invalid_grant', 'invalid_request']),
  everythingPageSize: z.number().int().min(1).nullable(),
  gzip: z.boolean(),
  /** Another origin for `next` links, as a misconfigured or hostile server would send. */
  nextLinkOrigin: z.string().nullable(),
  evolves: z.boolean(),
});

/** How the sandbox behaves where the contract's section 9 leaves it open, and the faults on demand. Durations are domain time. */
export type Knobs = z.infer<typeof knobsSchema>;

export const knobOverridesSchema = knobsSchema.partial();
type Overrides = z.infer<typeof knobOverridesSchema>;

/** The bold column of section 9; every fault is off. */
const DEFAULT_KNOBS: Knobs = {
  oldRefreshToken: 'strict',
  refreshGraceMs: 30 * UNITS.SECOND_MS,
  refreshReplyHasRefreshToken: true,
  oldAccessToken: 'dies',
  expiredIntrospect: '401',
  fhir401Body: 'boom',
  endedGrantStatus: 401,
  accessGrantMs: null,
  fractionalExpiresIn: false,
  syncBlocks: 'first',
  initialSyncMs: 0,
  syncFails: false,
  syncFrequency: 'daily',
  transientHint: 'both',
  transientRetryAfterMs: 3 * UNITS.SECOND_MS,
  refreshExpiresIn: 'lifetime',
  timeUntilMaxAuth: 'unknown',
  maxAuthPeriodMs: null,
  bundleTotal: false,
  tokenShape: 'v1',
  errorTextField: 'message',
  authorizationsPerConsent: 1,
  accessTokenMs: 24 * UNITS.HOUR_MS,
  refreshTokenMs: 90 * UNITS.DAY_MS,
  publicTokenMs: 30 * UNITS.MINUTE_MS,
  throttleRequests: null,
  throttleWindowMs: UNITS.MINUTE_MS,
  throttleHint: 'retry-after',
  slowFhirMs: 0,
  slowTokenMs: 0,
  refusedTypes: [],
  refusedStatus: 403,
  pageFaultOnRequest: null,
  pageFaultRepeats: false,
  pageFaultKind: 'status-500',
  tokenOutage: 'none',
  lostReplies: 0,
  invalidClient: false,
  deadRefreshStatus: 400,
  deadRefreshCode: 'invalid_grant',
  everythingPageSize: null,
  gzip: false,
  nextLinkOrigin: null,
  evolves: true,
};

/** Where an override may sit: the later in the merge, the stronger. */
type KnobScope = { readonly endpointId: string; readonly authorizationId: string };

export type KnobStore = {
  /** The knobs in force: global, then the endpoint's, then the authorization's. */
  readonly resolve: (scope?: KnobScope) => Knobs;
  readonly set: (level: 'global' | 'endpoint' | 'authorization', id: string, overrides: Overrides) => void;
  /** True when this authorization itself names the knob, rather than sharing its endpoint's. */
  readonly ownedByAuthorization: (scope: KnobScope, knob: keyof Knobs) => boolean;
  /** True once for every lost reply that was asked for, counted down on the level that asked. */
  readonly takeLostReply: (scope: KnobScope) => boolean;
  readonly snapshot: () => unknown;
};

/** An empty set of overrides over the defaults and `initial`. */
export function createKnobStore(initial: Partial<Knobs>): KnobStore {
  let global: Overrides = { ...initial };
  const endpoints = new Map<string, Overrides>();
  const authorizations = new Map<string, Overrides>();
  const levels = (scope?: KnobScope): Overrides[] => [
    global,
    (scope && endpoints.get(scope.endpointId)) ?? {},
    (scope && authorizations.get(scope.authorizationId)) ?? {},
  ];
  return {
    resolve: (scope) => knobsSchema.parse(Object.assign({}, DEFAULT_KNOBS, ...levels(scope))),
    set: (level, id, overrides) => {
      if (level === 'global') global = { ...global, ...overrides };
      else {
        const map = level === 'endpoint' ? endpoints : authorizations;
        map.set(id, { ...map.get(id), ...overrides });
      }
    },
    ownedByAuthorization: (scope, knob) => authorizations.get(scope.authorizationId)?.[knob] !== undefined,
    takeLostReply: (scope) => {
      const owner = levels(scope).findLast((level) => level.lostReplies !== undefined);
      if (owner?.lostReplies === undefined || owner.lostReplies === 0) return false;
      owner.lostReplies -= 1;
      return true;
    },
    snapshot: () => ({
      global: { ...DEFAULT_KNOBS, ...global },
      endpoints: Object.fromEntries(endpoints),
      authorizations: Object.fromEntries(authorizations),
    }),
  };
}
