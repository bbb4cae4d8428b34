import { z } from 'zod';
import { cadenceSchema } from '../../contract/cadence.ts';
import { accessTokenSchema, calendarSchema, eventSchema, sourceStateSchema } from '../../contract/feed.ts';
import { fleetSchema } from '../../contract/fleet.ts';
import { keyCensusSchema, keyCursorSchema, rotationRequestSchema, rotationSchema } from '../../contract/keys.ts';
import { plannedLoadSchema } from '../../contract/plan-load.ts';
import { auditEntrySchema, auditHeadsSchema, receiptSchema, signingKeySchema } from '../../contract/proof.ts';
import { resourceTypeSchema, settledSchema, typesSchema, verdictRequestSchema } from '../../contract/records.ts';
import {
  authorizationRequestSchema,
  authorizationViewSchema,
  changeSchema,
  errorSchema,
  faultOf,
  idSchema,
} from '../../contract/wire.ts';
import { AUDIT_CHAIN_NAMES } from '../../core/audit-text.ts';
import { STATES } from '../../core/authorization.ts';
import { PerennialError } from '../../core/errors.ts';
import { LIMITS } from '../../core/limits.ts';
import { FORMATS } from './record-framings.ts';

const limits = {
  /** What a page holds when the caller does not say. */
  pageDefault: 100,
  /** How far the calendar looks when the caller does not say. */
  calendarDaysDefault: 30,
  /** All of FHIR's resource types by name are some 2,500. */
  typesMaxChars: 4_096,
} as const;

const limit = z.coerce
  .number()
  .int()
  .min(1)
  .max(LIMITS.listPageMax)
  .default(limits.pageDefault)
  .describe('Rows at most');

export const idParams = z.strictObject({ id: idSchema });
export const listQuery = z.strictObject({
  after: idSchema.optional().describe('The last id of the page before'),
  limit,
  state: z.enum(STATES).optional(),
});
export const typeParams = z.strictObject({ id: idSchema, type: resourceTypeSchema });
export const recordsQuery = z.strictObject({
  type: z
    .string()
    .max(limits.typesMaxChars)
    .regex(/^[A-Z][A-Za-z]*(?:,[A-Z][A-Za-z]*)*$/, 'must be a FHIR resource type, or several with commas between them')
    .transform((types) => types.split(','))
    .optional()
    .describe('FHIR resource types with commas between them; all, when left out'),
  format: z
    .enum(FORMATS)
    .optional()
    .describe('Lines, or one Bundle of type collection; when left out the Accept header says it'),
  asOf: z.coerce
    .number()
    .int()
    .min(0)
    .optional()
    .describe('Answer only if the records are as of this cursor; earlier ones are not kept'),
});
export const changesQuery = z.strictObject({
  after: z.coerce.number().int().min(0).default(0).describe('The cursor up to which changes are known already'),
  limit,
});

export const eventsQuery = z.strictObject({
  after: z.coerce.number().int().min(0).default(0).describe('The cursor up to which events are known already'),
  limit,
});
export const receiptsQuery = z.strictObject({
  after: z.coerce.number().int().min(0).default(0).describe('The place in the chain up to which receipts are known'),
  limit,
});
export const auditQuery = z.strictObject({
  chain: z
    .enum([...AUDIT_CHAIN_NAMES, 'none'])
    .describe('Which chain; `none` are the entries that are older than the chains'),
  after: z.coerce.number().int().min(0).default(0).describe('The cursor up to which entries are known'),
  limit,
});
export const calendarQuery = z.strictObject({
  withinDays: z.coerce
    .number()
    .int()
    .min(1)
    .max(LIMITS.calendarDaysMax)
    .default(limits.calendarDaysDefault)
    .describe('Ends that lie ahead at most this far'),
  limit,
});

export const keysQuery = z.strictObject({
  after: keyCursorSchema.optional().describe('The `next` of the page before'),
});

export const pageSchema = z.object({
  authorizations: z.array(authorizationViewSchema),
  next: z.string().nullable().describe('The `after` of the next page; null on the last one'),
});
export const changePageSchema = z.object({
  changes: z.array(changeSchema),
  next: z.number().int().describe('The `after` of the next question; survives restarts'),
});
export const eventPageSchema = z.object({
  events: z.array(eventSchema),
  next: z.number().int().describe('The `after` of the next question; survives restarts'),
});
export const sourcesSchema = z.object({ sources: z.array(sourceStateSchema) });
export const receiptPageSchema = z.object({
  receipts: z.array(receiptSchema),
  next: z.number().int().describe('The `after` of the next question'),
});
export const auditPageSchema = z.object({
  entries: z.array(auditEntrySchema),
  next: z.number().int().describe('The `after` of the next question'),
});
/** The public half only: a private part in the configured key is cut off by the schema. */
export const intakeKeySchema = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('X25519'),
  x: z.string(),
  kid: z.string(),
});
export type IntakeKey = z.infer<typeof intakeKeySchema>;
export type SigningKey = z.infer<typeof signingKeySchema>;

/** What every webhook has; the adapter of its source reads the rest. */
const hookSchema = z.looseObject({ event_id: z.string(), event: z.string() });

/** What the OpenAPI document refers to by name. */
export const COMPONENTS = {
  AuthorizationRequest: { schema: authorizationRequestSchema, io: 'input' },
  Authorization: { schema: authorizationViewSchema, io: 'output' },
  AuthorizationPage: { schema: pageSchema, io: 'output' },
  ChangePage: { schema: changePageSchema, io: 'output' },
  Types: { schema: typesSchema, io: 'output' },
  VerdictRequest: { schema: verdictRequestSchema, io: 'input' },
  Settled: { schema: settledSchema, io: 'output' },
  Receipt: { schema: receiptSchema, io: 'output' },
  AccessToken: { schema: accessTokenSchema, io: 'output' },
  EventPage: { schema: eventPageSchema, io: 'output' },
  Calendar: { schema: calendarSchema, io: 'output' },
  Fleet: { schema: fleetSchema, io: 'output' },
  Sources: { schema: sourcesSchema, io: 'output' },
  CadenceTable: { schema: cadenceSchema, io: 'input' },
  PlannedLoad: { schema: plannedLoadSchema, io: 'output' },
  ReceiptPage: { schema: receiptPageSchema, io: 'output' },
  AuditPage: { schema: auditPageSchema, io: 'output' },
  AuditHeads: { schema: auditHeadsSchema, io: 'output' },
  SigningKey: { schema: signingKeySchema, io: 'output' },
  RotationRequest: { schema: rotationRequestSchema, io: 'input' },
  Rotation: { schema: rotationSchema, io: 'output' },
  KeyCensus: { schema: keyCensusSchema, io: 'output' },
  IntakeKey: { schema: intakeKeySchema, io: 'output' },
  Hook: { schema: hookSchema, io: 'input' },
  Error: { schema: errorSchema, io: 'output' },
} as const satisfies Record<string, { schema: z.ZodType; io: 'input' | 'output' }>;
export type ComponentName = keyof typeof COMPONENTS;

/** Parses path or query parameters. @throws PerennialError `invalid_request` naming the parameter, never its value. */
export function readParams<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new PerennialError('invalid_request', { field: faultOf(parsed.error) });
  return parsed.data;
}
