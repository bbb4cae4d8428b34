import { z } from 'zod';

/** What is kept of an authorization's pulls between them, and while one is under way: checked when it comes back from the store. */

const instant = z.number();
const result = z.enum(['complete', 'partial', 'refused']);
const idsByType = z.record(z.string(), z.array(z.string()));

export const pullStateSchema = z.object({
  types: z.record(
    z.string(),
    z.object({
      result,
      fullAt: instant.nullable(),
      knownUntil: instant.nullable(),
      suspects: z.object({ ids: z.array(z.string()), since: instant }).nullable(),
    }),
  ),
  running: z
    .object({
      id: z.string(),
      startedAt: instant,
      plan: z.array(z.object({ type: z.string().nullable(), since: instant.nullable() })),
      results: z.array(result),
      next: z.string().nullable(),
      entries: z.number(),
      total: z.number(),
    })
    .nullable(),
  packs: z.record(z.string(), z.number()),
  patients: z.array(z.string()),
});

const numbers = z.array(z.number());

/** A manifest as it is sealed: a column for each thing that is known of a resource (core/place-table.ts). */
export const manifestSchema = z.object({
  type: z.string(),
  ids: z.array(z.string()),
  hashes: z.string(),
  packNames: z.array(z.string()),
  packs: numbers,
  offsets: numbers,
  lengths: numbers,
});

const placeSchema = z.object({ hash: z.string(), pack: z.string(), offset: z.number(), length: z.number() });

export const journalPageSchema = z.object({
  pullId: z.string(),
  seen: idsByType,
  places: z.array(z.tuple([z.string(), z.string(), placeSchema])),
  added: idsByType,
  modified: idsByType,
});

/** What a pull has taken since its last checkpoint: applied in order, these and the manifests are what a crash found. */
export type JournalPage = z.infer<typeof journalPageSchema>;
