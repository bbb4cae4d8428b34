import { z } from 'zod';

/** How the pulled records are read, and what is told of them. */

/** A FHIR resource type's name. It becomes part of a file's name in an export, so nothing but letters. */
export const resourceTypeSchema = z
  .string()
  .max(64, 'must be a FHIR resource type')
  .regex(/^[A-Z][A-Za-z]*$/, 'must be a FHIR resource type');

/** One stored resource, its bytes as they were sent. */
export type StoredResource = { readonly type: string; readonly id: string; readonly bytes: Uint8Array };

/** The records as of a cursor: what they lack, the changes after it tell. */
export type RecordsRead = {
  readonly cursor: number;
  /** Where the resources come from; null where their source is not configured any more. */
  readonly fhirBaseUrl: string | null;
  readonly resources: AsyncIterable<StoredResource>;
};

const instant = z.iso.datetime().nullable();

const typeSchema = z.object({
  resourceType: z.string(),
  result: z
    .enum(['complete', 'partial', 'refused'])
    .nullable()
    .describe('How its last pull ended; null before the first'),
  held: z.number().int().describe('Resources that are stored'),
  fullAt: instant.describe('When the last pull began that read all of it to its end: only such a one sees removals'),
  knownUntil: instant.describe(
    'Up to when its changes are known: from a little before it the next incremental pull asks',
  ),
  suspected: z
    .object({ count: z.number().int(), since: z.iso.datetime() })
    .nullable()
    .describe(
      'Resources that a complete pull did not see and that are too many to be believed gone at once; still held',
    ),
});

/** What is known of each resource type of one authorization. */
export const typesSchema = z.object({
  types: z.array(typeSchema),
  cursor: z.number().int().describe('The cursor of the newest change'),
  pulling: z.boolean().describe('A pull is under way, or was when it was cut off; it is not counted here yet'),
});
export type TypesView = z.infer<typeof typesSchema>;

/** The operator's word on suspected removals: they are gone, or they are to stay. */
export const VERDICTS = ['removed', 'kept'] as const;
export type Verdict = (typeof VERDICTS)[number];
export const verdictRequestSchema = z.strictObject({
  verdict: z
    .enum(VERDICTS)
    .describe(
      '`removed` publishes them as removed now; `kept` drops the suspicion until a full pull misses them again',
    ),
});

export const settledSchema = z.object({
  resourceType: z.string(),
  verdict: z.enum(VERDICTS),
  count: z.number().int().describe('Resources that were removed, or that are kept'),
});
export type SettledView = z.infer<typeof settledSchema>;
