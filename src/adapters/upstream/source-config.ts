import { z } from 'zod';

/** FHIR types that Flexpa can search (contract, section 3.4). */
const FLEXPA_TYPES = [
  'Patient',
  'Coverage',
  'ExplanationOfBenefit',
  'AllergyIntolerance',
  'CarePlan',
  'CareTeam',
  'Condition',
  'Device',
  'DiagnosticReport',
  'DocumentReference',
  'Encounter',
  'Goal',
  'Immunization',
  'Location',
  'Medication',
  'MedicationDispense',
  'MedicationRequest',
  'Observation',
  'Organization',
  'Practitioner',
  'PractitionerRole',
  'Procedure',
  'Provenance',
];

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

/** Whether a URL stays on this machine: the one place where plain http may carry a token. */
export function isLoopbackUrl(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : null;
  return url !== null && LOOPBACK.has(url.hostname);
}

function mayCarryToken({ protocol, hostname }: URL): boolean {
  return protocol === 'https:' || (protocol === 'http:' && LOOPBACK.has(hostname));
}

function isPlain({ username, password, search, hash }: URL): boolean {
  return [username, password, search, hash].every((part) => part === '');
}

const urlSchema = z
  .string()
  .refine((text) => URL.canParse(text), 'must be a URL')
  .refine((text) => !URL.canParse(text) || mayCarryToken(new URL(text)), 'must be https (loopback excepted)')
  .refine(
    (text) => !URL.canParse(text) || isPlain(new URL(text)),
    'must carry no credentials, no query and no fragment',
  );

/**
 * One configured registration. Everything that public sources do not tell about Flexpa's API is a setting here and no guess in code:
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
  pullBy: z.enum(['everything', 'search']).default('everything'),
  resourceTypes: z
    .array(z.string().regex(/^[A-Z][A-Za-z]{1,63}$/, 'must be a FHIR type'))
    .min(1)
    .default(FLEXPA_TYPES),
  searchQuery: z.string().max(1_000).default('_count=1000'),
  revokeOnPurge: z.boolean().default(true),
});

export const sourcesSchema = z.record(
  z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/, 'must be lower-case letters, digits and dashes'),
  flexpaSourceSchema,
);

export type FlexpaSourceConfig = z.infer<typeof flexpaSourceSchema>;
export type SourcesConfig = z.infer<typeof sourcesSchema>;

/** Every URL that a registration names. */
export function urlsOf(source: SourcesConfig[string]): readonly string[] {
  const { baseUrl, tokenUrl, exchangeUrl, introspectUrl, revokeUrl, fhirBaseUrl } = source;
  return [baseUrl, tokenUrl, exchangeUrl, introspectUrl, revokeUrl, fhirBaseUrl].filter((url) => url !== undefined);
}
