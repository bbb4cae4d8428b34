import { z } from 'zod';
import {
  type AccessTokenView,
  accessTokenSchema,
  type CalendarView,
  calendarSchema,
  eventSchema,
  sourceStateSchema,
} from '../contract/feed.ts';
import { type FleetView, fleetSchema } from '../contract/fleet.ts';
import { type KeyCensusView, keyCensusSchema, type RotationView, rotationSchema } from '../contract/keys.ts';
import { type PlannedLoadView, plannedLoadSchema } from '../contract/plan-load.ts';
import { type SettledView, settledSchema, type TypesView, typesSchema, type Verdict } from '../contract/records.ts';
import { type AuthorizationRequest, type AuthorizationView, authorizationViewSchema } from '../contract/wire.ts';
import type { State } from '../core/authorization.ts';
import { LIMITS } from '../core/limits.ts';
import { type Call, createExchange, read } from './exchange.ts';
import { type ProofApi, proofApi } from './proof.ts';

const limits = {
  /** A token may have to be refreshed first; Perennial answers for itself before this. */
  tokenTimeoutMs: LIMITS.tokenWaitMaxMs + 5_000,
  /** A page of a rotation waits for the disk {@link LIMITS.rotationBatch} times. */
  rotationTimeoutMs: 60_000,
  /** A preview reads the whole fleet: a million in under a minute. */
  planTimeoutMs: 300_000,
} as const;

const pageSchema = z.object({ authorizations: z.array(authorizationViewSchema), next: z.string().nullable() });
type AuthorizationPage = z.infer<typeof pageSchema>;
const eventPageSchema = z.object({ events: z.array(eventSchema), next: z.number().int() });
type EventPage = z.infer<typeof eventPageSchema>;
const sourcesSchema = z.object({ sources: z.array(sourceStateSchema) });

/** Every digit string that fits is a cursor; it is handed back as it came. */
const cursorSchema = z
  .string()
  .regex(/^\d{1,15}$/)
  .transform(Number);

/** Records on their way: what they lack, the changes after `cursor` tell. */
export type RecordsAnswer = {
  readonly cursor: number;
  /** When they were read, by the answer's Date header. */
  readonly readAt: string | null;
  /** NDJSON, cut anywhere. */
  readonly chunks: AsyncIterable<Uint8Array>;
};

/** The HTTP API as functions. Each rejects with a PerennialError by the API's code, or PerennialUnreachable. */
export type HttpApi = ProofApi & {
  readonly enqueue: (request: AuthorizationRequest) => Promise<{
    readonly authorization: AuthorizationView;
    readonly created: boolean;
  }>;
  readonly status: (id: string) => Promise<AuthorizationView>;
  readonly list: (page: {
    readonly after?: string;
    readonly limit?: number;
    readonly state?: State;
  }) => Promise<AuthorizationPage>;
  readonly purge: (id: string) => Promise<AuthorizationView>;
  readonly pull: (id: string) => Promise<AuthorizationView>;
  readonly release: (id: string) => Promise<AuthorizationView>;
  readonly token: (id: string) => Promise<AccessTokenView>;
  readonly events: (page: { readonly after?: number; readonly limit?: number }) => Promise<EventPage>;
  readonly calendar: (query: { readonly withinDays?: number; readonly limit?: number }) => Promise<CalendarView>;
  readonly fleet: () => Promise<FleetView>;
  /** `table` is the content of a cadence file; the server checks it. */
  readonly planLoad: (table: unknown) => Promise<PlannedLoadView>;
  readonly sources: () => Promise<z.infer<typeof sourcesSchema>['sources']>;
  /** The records as NDJSON, as they come; an answer that is cut short rejects in the middle, and must not be taken for whole. */
  readonly records: (wanted: { readonly id: string; readonly types?: readonly string[] }) => Promise<RecordsAnswer>;
  readonly types: (id: string) => Promise<TypesView>;
  readonly settleSuspected: (word: {
    readonly id: string;
    readonly resourceType: string;
    readonly verdict: Verdict;
  }) => Promise<SettledView>;
  /** One page of a rotation; undefined begins it. */
  readonly rotateKeys: (after: string | undefined) => Promise<RotationView>;
  readonly keys: (after: string | undefined) => Promise<KeyCensusView>;
  readonly close: () => Promise<void>;
};

/**
 * Talks to a running Perennial. Redirects are not followed: the key goes to the configured address and nowhere else.
 * @throws PerennialError `config_invalid` naming `url` or `apiKey`.
 */
export function createHttpApi({ url, apiKey }: { readonly url: string; readonly apiKey: string }): HttpApi {
  const { call, open, close } = createExchange({ url, apiKey });
  const one = async (wanted: Call) => read(authorizationViewSchema, (await call(wanted)).body);
  const at = (id: string) => `/v1/authorizations/${encodeURIComponent(id)}`;
  return {
    ...proofApi({ call }),
    enqueue: async (body) => {
      const answer = await call({ method: 'POST', path: '/v1/authorizations', body });
      return { authorization: read(authorizationViewSchema, answer.body), created: answer.status === 201 };
    },
    status: (id) => one({ method: 'GET', path: at(id) }),
    list: async (page) =>
      read(pageSchema, (await call({ method: 'GET', path: `/v1/authorizations${queryOf(page)}` })).body),
    purge: (id) => one({ method: 'DELETE', path: at(id) }),
    pull: (id) => one({ method: 'POST', path: `${at(id)}/pull` }),
    release: (id) => one({ method: 'POST', path: `${at(id)}/release` }),
    token: async (id) => {
      const wanted = { method: 'GET', path: `${at(id)}/token`, timeoutMs: limits.tokenTimeoutMs } as const;
      return read(accessTokenSchema, (await call(wanted)).body);
    },
    events: async (page) =>
      read(eventPageSchema, (await call({ method: 'GET', path: `/v1/events${queryOf(page)}` })).body),
    calendar: async (query) => {
      const answer = await call({ method: 'GET', path: `/v1/calendar${queryOf(query)}` });
      return read(calendarSchema, answer.body);
    },
    fleet: async () => read(fleetSchema, (await call({ method: 'GET', path: '/v1/fleet' })).body),
    planLoad: async (body) => {
      const wanted = { method: 'POST', path: '/v1/plan', body, timeoutMs: limits.planTimeoutMs } as const;
      return read(plannedLoadSchema, (await call(wanted)).body);
    },
    sources: async () => read(sourcesSchema, (await call({ method: 'GET', path: '/v1/sources' })).body).sources,
    records: async ({ id, types }) => {
      const path = `${at(id)}/records${queryOf({ type: types?.join(',') })}`;
      const { headers, chunks } = await open({ path, accept: 'application/fhir+ndjson' });
      return { cursor: read(cursorSchema, headers['perennial-cursor']), readAt: headers['date'] ?? null, chunks };
    },
    types: async (id) => read(typesSchema, (await call({ method: 'GET', path: `${at(id)}/types` })).body),
    settleSuspected: async ({ id, resourceType, verdict }) => {
      const path = `${at(id)}/types/${encodeURIComponent(resourceType)}/suspected`;
      return read(settledSchema, (await call({ method: 'POST', path, body: { verdict } })).body);
    },
    rotateKeys: async (after) => {
      const wanted = { method: 'POST', path: '/v1/keys/rotation', body: { after } } as const;
      return read(rotationSchema, (await call({ ...wanted, timeoutMs: limits.rotationTimeoutMs })).body);
    },
    keys: async (after) =>
      read(keyCensusSchema, (await call({ method: 'GET', path: `/v1/keys${queryOf({ after })}` })).body),
    close,
  };
}

function queryOf(values: Readonly<Record<string, string | number | undefined>>): string {
  const given = Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]));
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
}
