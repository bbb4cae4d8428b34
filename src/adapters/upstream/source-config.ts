import { z } from 'zod';
import type { EndpointLimits } from '../../core/gate.ts';
import { LIMITS, UNITS } from '../../core/limits.ts';
import { clientAuthSchema } from './client-auth-config.ts';
import { FLEXPA_TYPES, US_CORE_TYPES } from './fhir-types.ts';
import { isLoopbackUrl, urlSchema } from './urls.ts';

/** A minute's requests beyond which a limit says nothing. */
const RATE_MAX = 1_000_000;
/** Runs at one endpoint at once; each is a place of some worker. */
const CONCURRENCY_MAX = 10_000;

const typesSchema = z.array(z.string().regex(/^[A-Z][A-Za-z]{1,63}$/, 'must be a FHIR type')).min(1);
const querySchema = z.string().max(1_000);
const pullBySchema = z.enum(['everything', 'search']);
const daysSchema = z
  .number()
  .positive()
  .max(LIMITS.tokenLifetimeMaxMs / UNITS.DAY_MS);
/** Whether the source stands in the operator's own network. Only then are private addresses reached for it. */
const internalSchema = z.boolean().default(false);
/** A signature is worth no more than its secret. */
const webhookSecretSchema = z.string().min(16).max(512);
/** What becomes of the data of an authorization that has died and whose patient does not come back. */
const retentionSchema = z
  .union([z.literal('keep'), z.strictObject({ purgeAfterDays: daysSchema })], 'must be keep or {purgeAfterDays}')
  .default('keep');

const perMinuteSchema = z.number().positive().max(RATE_MAX);
/** What the source or its terms of use allow us over all workers. */
const limitsSchema = z.strictObject({
  perEndpoint: z
    .strictObject({
      requestsPerMinute: perMinuteSchema.optional(),
      concurrency: z.number().int().min(1).max(CONCURRENCY_MAX).optional(),
    })
    .optional(),
  perSource: z.strictObject({ requestsPerMinute: perMinuteSchema.optional() }).optional(),
});

/**
 * A registration at Flexpa. Everything that public sources do not tell about Flexpa's API is a setting here and no guess in code:
 * the paths (two token URLs are advertised at once), whether to pull by `$everything` or by search, and with which query.
 */
const flexpaSourceSchema = z.strictObject({
  kind: z.literal('flexpa'),
  baseUrl: urlSchema.default('https://api.flexpa.com'),
  publishableKey: z.string().min(1),
  secretKey: z.string().min(1),
  tokenUrl: urlSchema.optional(),
  exchangeUrl: urlSchema.optional(),
  introspectUrl: urlSchema.optional(),
  revokeUrl: urlSchema.optional(),
  fhirBaseUrl: urlSchema.optional(),
  pullBy: pullBySchema.default('everything'),
  resourceTypes: typesSchema.default(FLEXPA_TYPES),
  searchQuery: querySchema.default('_count=1000'),
  patientQuery: querySchema.optional(),
  incremental: z.boolean().default(true),
  reconcileEveryDays: daysSchema.default(7),
  revokeOnPurge: z.boolean().default(true),
  retention: retentionSchema,
  /** Below the FHIR base URL; null for a registration that may not. Neither its path nor its method is in a public source. */
  expungePath: z
    .string()
    .regex(/^[A-Za-z0-9$_/.-]{1,200}$/, 'must be a path below the FHIR base URL')
    .refine((path) => !path.split('/').includes('..'), 'must be a path below the FHIR base URL')
    .nullable()
    .default('Patient/$PATIENT_ID/$expunge'),
  expungeMethod: z.enum(['POST', 'DELETE']).default('POST'),
  internal: internalSchema,
  limits: limitsSchema.optional(),
  assumedRefreshDays: daysSchema.optional(),
  /** What webhooks are signed with; two while one takes the other's place. Without it none is taken. */
  webhookSecret: z
    .union([webhookSecretSchema.transform((one) => [one]), z.array(webhookSecretSchema).max(8)])
    .default([]),
});

/**
 * A registration at one SMART on FHIR server of a payer or an EHR. Its endpoints are discovered; a URL given here goes before what is discovered.
 */
const smartSourceSchema = z.strictObject({
  kind: z.literal('smart'),
  fhirBaseUrl: urlSchema,
  clientId: z.string().min(1),
  auth: clientAuthSchema,
  tokenUrl: urlSchema.nullish(),
  introspectUrl: urlSchema.nullish(),
  revokeUrl: urlSchema.nullish(),
  pullBy: pullBySchema.default('search'),
  resourceTypes: typesSchema.default(US_CORE_TYPES),
  searchQuery: querySchema.default('patient=$PATIENT_ID&_count=100'),
  /** A Patient refers to no patient: it is found by its own id. */
  patientQuery: querySchema.default('_id=$PATIENT_ID'),
  incremental: z.boolean().default(true),
  reconcileEveryDays: daysSchema.default(7),
  revokeOnPurge: z.boolean().default(true),
  retention: retentionSchema,
  internal: internalSchema,
  limits: limitsSchema.optional(),
  assumedRefreshDays: daysSchema.optional(),
});

export const sourcesSchema = z.record(
  z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/, 'must be lower-case letters, digits and dashes'),
  z.discriminatedUnion('kind', [flexpaSourceSchema, smartSourceSchema]),
);

export type FlexpaSourceConfig = z.infer<typeof flexpaSourceSchema>;
export type SmartSourceConfig = z.infer<typeof smartSourceSchema>;
export type SourcesConfig = z.infer<typeof sourcesSchema>;

/** Every URL that a registration has us talk to. What a server on loopback names in its discovery document stays on loopback too. */
export function urlsOf(source: SourcesConfig[string]): readonly string[] {
  const { tokenUrl, introspectUrl, revokeUrl, fhirBaseUrl } = source;
  const own = source.kind === 'flexpa' ? [source.baseUrl, source.exchangeUrl] : [];
  return [...own, tokenUrl, introspectUrl, revokeUrl, fhirBaseUrl].filter((url) => typeof url === 'string');
}

/** Whether a registration may lead to addresses that are not of the public internet: said so by its operator, or at home on this machine itself. */
export function isInternal(source: SourcesConfig[string]): boolean {
  return source.internal || isLoopbackUrl(source.kind === 'flexpa' ? source.baseUrl : source.fhirBaseUrl);
}

/** How long a refresh token lives where the server does not say; null where the operator does not know either. */
export function assumedRefreshLifetimeMs(source: SourcesConfig[string]): number | null {
  return source.assumedRefreshDays === undefined ? null : source.assumedRefreshDays * UNITS.DAY_MS;
}

/** After which time the data of a dead authorization is purged; null keeps it. */
export function purgeDeadAfterMs({ retention }: SourcesConfig[string]): number | null {
  return retention === 'keep' ? null : retention.purgeAfterDays * UNITS.DAY_MS;
}

/** What we take of each endpoint of a source, and of the source as a whole. */
export function endpointLimitsOf({ limits }: Pick<SourcesConfig[string], 'limits'>): EndpointLimits {
  return {
    concurrency: limits?.perEndpoint?.concurrency ?? LIMITS.gateConcurrency,
    requestsPerMinute: limits?.perEndpoint?.requestsPerMinute ?? null,
    sourceRequestsPerMinute: limits?.perSource?.requestsPerMinute ?? null,
  };
}
