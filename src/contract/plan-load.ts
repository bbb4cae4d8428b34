import { z } from 'zod';
import { NETWORKS } from '../core/networks.ts';

const count = z.number().int().nonnegative();
const loadSchema = z.object({
  runsPerDay: z.number().nonnegative(),
  peakMinute: count.describe('Runs in the fullest minute of the time ahead'),
  meanMinute: z.number().nonnegative().describe('Runs of a minute in the long run'),
});
const changeSchema = z.object({
  network: z.enum(NETWORKS),
  endpointId: z.string().nullable().describe('Null for all endpoints of the network together'),
  authorizations: count,
  moved: count.describe('Those whose period becomes another one'),
  before: loadSchema,
  after: loadSchema,
  oldestAgeSeconds: z
    .number()
    .nullable()
    .describe('How old the oldest records will be when their next run comes; null where nobody has records'),
  late: count.describe('Records that will be late by the new table before their next run comes'),
});

/** What a new cadence table would make of the fleet. Nothing is changed by asking. */
export const plannedLoadSchema = z.object({
  at: z.iso.datetime(),
  hours: z.number().describe('How far ahead runs are counted'),
  networks: z.array(changeSchema),
  endpoints: z.array(changeSchema).describe('The largest endpoints'),
  moreEndpoints: count,
  quarterHours: z
    .object({ before: z.array(count), after: z.array(count) })
    .describe('Runs by quarter of an hour from `at` on'),
});

export type PlannedLoadView = z.infer<typeof plannedLoadSchema>;
