import { z } from 'zod';
import type { CadenceOverride } from '../core/authorization.ts';
import type { CadenceTable } from '../core/cadence.ts';
import { LIMITS, UNITS } from '../core/limits.ts';
import { NETWORKS } from '../core/networks.ts';

const hours = (maxMs: number) =>
  z
    .number()
    .min(LIMITS.periodMinMs / UNITS.HOUR_MS, 'is too small')
    .max(maxMs / UNITS.HOUR_MS, 'is too large');
const overrideSchema = z
  .strictObject({
    pullEveryHours: hours(LIMITS.periodMaxMs).optional(),
    lateAfterHours: hours(12 * LIMITS.periodMaxMs).optional(),
    adaptive: z.boolean().optional(),
  })
  .transform(
    ({ pullEveryHours, lateAfterHours, adaptive }): CadenceOverride => ({
      ...(pullEveryHours === undefined ? {} : { pullEveryMs: pullEveryHours * UNITS.HOUR_MS }),
      ...(lateAfterHours === undefined ? {} : { lateAfterMs: lateAfterHours * UNITS.HOUR_MS }),
      ...(adaptive === undefined ? {} : { adaptive }),
    }),
  );

/** The operator's cadence file: hours per network and per endpoint id. */
export const cadenceSchema: z.ZodType<CadenceTable> = z.strictObject({
  networks: z.partialRecord(z.enum(NETWORKS), overrideSchema).default({}),
  endpoints: z.record(z.string(), overrideSchema).default({}),
});
