import { z } from 'zod';
import { EVENT_KINDS } from '../core/ports/feed.ts';
import { SOURCE_CONDITIONS } from '../core/ports/source-condition.ts';
import { authorizationViewSchema, idSchema } from './wire.ts';

/** What callers read besides one authorization: the event feed, the sources' conditions, an access token. */

const instant = z.iso.datetime().nullable();

/** One line of the event feed. */
export const eventSchema = z.object({
  cursor: z.number().int(),
  at: z.iso.datetime(),
  kind: z.enum(EVENT_KINDS),
  authorizationId: idSchema.nullable().describe('Null for events of a whole source'),
  source: z.string(),
  reason: z.string().nullable().describe('The reason of the state, or which end comes nearer'),
  endsAt: instant,
  daysLeft: z.number().nullable(),
});

export type EventView = z.infer<typeof eventSchema>;

/** How a source's token endpoint treats us now. */
export const sourceStateSchema = z.object({
  source: z.string(),
  condition: z.enum(SOURCE_CONDITIONS),
  since: z.iso.datetime(),
  lastAt: z.iso.datetime(),
});

export type SourceStateView = z.infer<typeof sourceStateSchema>;

/** An access token handed to a calling service. */
export const accessTokenSchema = z.object({
  accessToken: z.string(),
  tokenType: z.literal('Bearer'),
  expiresAt: z.iso.datetime(),
  expiresIn: z.number().int().describe('Whole seconds left'),
  fhirBaseUrl: z.string().describe('The only place this token is for'),
  patient: z.string().nullable(),
});

export type AccessTokenView = z.infer<typeof accessTokenSchema>;

/** Who ends when. */
export const calendarSchema = z.object({
  ending: z.array(authorizationViewSchema).describe('The earliest end first'),
  more: z.number().int().describe('How many more end in this time'),
  waiting: z
    .number()
    .int()
    .describe('How many have ended and wait for their patient: list them with state=needs_reauthorization'),
});

export type CalendarView = z.infer<typeof calendarSchema>;
