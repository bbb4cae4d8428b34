import { z } from 'zod';

/** What a process that pulls is told: whose records, from where to where, and at which commit of them it ends. */
export const orderSchema = z.strictObject({
  databaseUrl: z.string(),
  keysDirectory: z.string(),
  encryptionKeys: z.string(),
  baseUrl: z.string(),
  id: z.string(),
  /** Which commit, from 1 on: each page is one, and the last one is the publication. */
  commit: z.number().int().positive(),
  moment: z.enum(['before', 'after']),
  /** A process that is broken on purpose: it writes the mark of a page before the page's records. */
  defect: z.enum(['none', 'mark-first']),
});
export type Order = Readonly<z.infer<typeof orderSchema>>;
