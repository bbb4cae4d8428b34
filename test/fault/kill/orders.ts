import { z } from 'zod';
import { MOMENTS } from './points.ts';

/** What a worker process is told to do: run one authorization, and at one moment of it end, or stand still, at once. */
export const orderSchema = z.strictObject({
  authorizationId: z.string(),
  deed: z.enum(['kill', 'stop']),
  moment: z.enum(MOMENTS),
  /** What is left open within the moment: after how many statements or milliseconds, after how much of the request. */
  detail: z.number().int().nonnegative(),
  /** A worker that is broken on purpose: it writes no intent, or it sends although its lease may be over. */
  defect: z.enum(['none', 'no-intent', 'sends-always']),
  /** For the moments at which the request is sent by hand. */
  tokenEndpoint: z.strictObject({ url: z.string(), authorization: z.string() }),
});
export type Order = Readonly<z.infer<typeof orderSchema>>;

/** What a worker process says, a line each. */
export const lineSchema = z.discriminatedUnion('said', [
  z.strictObject({ said: z.literal('ready') }),
  z.strictObject({
    said: z.literal('struck'),
    /** On the wall clock, which all processes of a machine share. */
    at: z.number(),
    /** From the parsed reply to the durable commit, where the run came that far. */
    windowMs: z.number().nullable(),
  }),
  z.strictObject({ said: z.literal('ended'), kind: z.string(), reason: z.string() }),
]);
export type Line = Readonly<z.infer<typeof lineSchema>>;
