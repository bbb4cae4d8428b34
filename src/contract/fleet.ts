import { z } from 'zod';
import { STATES } from '../core/authorization.ts';
import { NETWORKS } from '../core/networks.ts';

const seconds = z.number().nonnegative();

/** What is said of all authorizations together: how many stand where, and whether purges come in time. */
export const fleetSchema = z.object({
  at: z.iso.datetime(),
  authorizations: z.record(z.enum(STATES), z.number().int()).describe('How many there are in each state'),
  purges: z.object({
    days: z.number().int().describe('The lag is that of the purges that ended in so many days'),
    ended: z.number().int(),
    lagSeconds: z
      .object({ p50: seconds, p99: seconds })
      .nullable()
      .describe('From the deadline to the receipt; null where none ended'),
    oldestUnpurgedSeconds: seconds
      .nullable()
      .describe('How long the oldest deadline has passed that has no receipt yet'),
    alertAfterSeconds: z.number().int(),
    alert: z.boolean().describe('Whether the oldest has waited longer than that'),
  }),
  freshness: z
    .array(
      z.object({
        network: z.enum(NETWORKS),
        authorizations: z.number().int().describe('How many are kept fresh'),
        late: z.number().int().describe('Of how many the records are older than promised'),
        ageSeconds: z.object({ p50: seconds, p90: seconds, p99: seconds, max: seconds }),
      }),
    )
    .describe('How old the records are, by network'),
  sourcesInTrouble: z.number().int(),
});

export type FleetView = z.infer<typeof fleetSchema>;
