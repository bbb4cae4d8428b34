import { z } from 'zod';
import { MOMENTS } from './points.ts';

/** What a worker process is told to do: purge one authorization, and end at one moment of it. */
export const purgeOrderSchema = z.strictObject({
  authorizationId: z.string(),
  moment: z.enum(MOMENTS),
  /** How far into a moment that takes time. */
  detail: z.number().int().nonnegative(),
  /** A purge that is broken on purpose: its receipt comes before it destroys the key. */
  defect: z.enum(['none', 'receipt-first']),
});
export type PurgeOrder = Readonly<z.infer<typeof purgeOrderSchema>>;
