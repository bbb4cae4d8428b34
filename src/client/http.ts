import { Agent, request as send } from 'undici';
import { z } from 'zod';
import {
  type AccessTokenView,
  accessTokenSchema,
  type CalendarView,
  calendarSchema,
  eventSchema,
  sourceStateSchema,
} from '../contract/feed.ts';
import {
  type AuthorizationRequest,
  type AuthorizationView,
  authorizationViewSchema,
  errorSchema,
} from '../contract/wire.ts';
import type { State } from '../core/authorization.ts';
import { ERRORS, type ErrorCode, PerennialError } from '../core/errors.ts';
import { LIMITS, UNITS } from '../core/limits.ts';
import { Secret } from '../core/secret.ts';
import { PerennialUnreachable } from './unreachable.ts';

const limits = {
  connectTimeoutMs: 2_000,
  /** Accepting writes to a database; that takes milliseconds, a failover some seconds. */
  answerTimeoutMs: 10_000,
  /** The whole call, from its first byte to the last one of the answer. */
  callTimeoutMs: 15_000,
  /** A token may have to be refreshed first; Perennial answers for itself before this. */
  tokenTimeoutMs: LIMITS.tokenWaitMaxMs + 5_000,
  /** A page of LIMITS.listPageMax authorizations is half a MB. */
  answerMaxBytes: 8 * 1_024 * 1_024,
  fieldMaxChars: 200,
} as const;

const pageSchema = z.object({ authorizations: z.array(authorizationViewSchema), next: z.string().nullable() });
type AuthorizationPage = z.infer<typeof pageSchema>;
const eventPageSchema = z.object({ events: z.array(eventSchema), next: z.number().int() });
type EventPage = z.infer<typeof eventPageSchema>;
const sourcesSchema = z.object({ sources: z.array(sourceStateSchema) });

/** The HTTP API as functions. Each rejects with a PerennialError by the API's code, or PerennialUnreachable. */
export type HttpApi = {
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
  readonly token: (id: string) => Promise<AccessTokenView>;
  readonly events: (page: { readonly after?: number; readonly limit?: number }) => Promise<EventPage>;
  readonly calendar: (query: { readonly withinDays?: number; readonly limit?: number }) => Promise<CalendarView>;
  readonly sources: () => Promise<z.infer<typeof sourcesSchema>['sources']>;
  readonly close: () => Promise<void>;
};

type Call = {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
  readonly timeoutMs?: number;
};
type Answer = { readonly status: number; readonly body: unknown };

/**
 * Talks to a running Perennial. Redirects are not followed: the key goes to the configured address and nowhere else.
 * @throws PerennialError `config_invalid` naming `url` or `apiKey`.
 */
export function createHttpApi({ url, apiKey }: { readonly url: string; readonly apiKey: string }): HttpApi {
  const base = baseOf(url);
  const key = keyOf(apiKey);
  const agent = new Agent({
    connect: { timeout: limits.connectTimeoutMs },
    headersTimeout: limits.answerTimeoutMs,
    bodyTimeout: limits.answerTimeoutMs,
    maxResponseSize: limits.answerMaxBytes,
  });
  const call = async (wanted: Call): Promise<Answer> => judge(await exchange({ wanted, base, key, agent }));
  const one = async (wanted: Call) => read(authorizationViewSchema, (await call(wanted)).body);
  const at = (id: string) => `/v1/authorizations/${encodeURIComponent(id)}`;
  return {
    enqueue: async (body) => {
      const answer = await call({ method: 'POST', path: '/v1/authorizations', body });
      return { authorization: read(authorizationViewSchema, answer.body), created: answer.status === 201 };
    },
    status: (id) => one({ method: 'GET', path: at(id) }),
    list: async (page) =>
      read(pageSchema, (await call({ method: 'GET', path: `/v1/authorizations${queryOf(page)}` })).body),
    purge: (id) => one({ method: 'DELETE', path: at(id) }),
    pull: (id) => one({ method: 'POST', path: `${at(id)}/pull` }),
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
    sources: async () => read(sourcesSchema, (await call({ method: 'GET', path: '/v1/sources' })).body).sources,
    close: () => agent.destroy(),
  };
}

function queryOf(values: Readonly<Record<string, string | number | undefined>>): string {
  const given = Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]));
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
}

function baseOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  const fits = parsed !== null && /^https?:$/.test(parsed.protocol) && parsed.username === '' && parsed.search === '';
  if (!fits) throw new PerennialError('config_invalid', { field: 'url must be http(s)://host[:port][/path]' });
  return `${parsed.origin}${parsed.pathname.replace(/\/+$/, '')}`;
}

function keyOf(apiKey: string): Secret {
  if (!/^[\x21-\x7e]{1,512}$/.test(apiKey)) {
    throw new PerennialError('config_invalid', { field: 'apiKey must be printable characters without spaces' });
  }
  return new Secret(apiKey);
}

async function exchange({
  wanted,
  base,
  key,
  agent,
}: {
  readonly wanted: Call;
  readonly base: string;
  readonly key: Secret;
  readonly agent: Agent;
}): Promise<{ readonly status: number; readonly text: string; readonly retryAfter: string | undefined }> {
  try {
    const response = await send(`${base}${wanted.path}`, {
      method: wanted.method,
      dispatcher: agent,
      signal: AbortSignal.timeout(wanted.timeoutMs ?? limits.callTimeoutMs),
      headersTimeout: wanted.timeoutMs ?? limits.answerTimeoutMs,
      headers: {
        authorization: `Bearer ${key.reveal()}`,
        accept: 'application/json',
        ...(wanted.body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: wanted.body === undefined ? null : JSON.stringify(wanted.body),
    });
    const after = response.headers['retry-after'];
    const text = await response.body.text();
    return { status: response.statusCode, text, retryAfter: typeof after === 'string' ? after : undefined };
  } catch {
    // undici's errors carry the request's options, the key among them.
    throw new PerennialUnreachable();
  }
}

function judge({
  status,
  text,
  retryAfter,
}: {
  readonly status: number;
  readonly text: string;
  readonly retryAfter: string | undefined;
}): Answer {
  const body = jsonOf(text);
  if (status >= 200 && status < 300) return { status, body };
  const told = errorSchema.safeParse(body);
  if (!told.success || !isErrorCode(told.data.error.code)) throw new PerennialError('internal');
  const { code, field } = told.data.error;
  const seconds = retryAfter === undefined ? Number.NaN : Number(retryAfter);
  throw new PerennialError(code, {
    ...(field === undefined ? {} : { field: field.slice(0, limits.fieldMaxChars) }),
    ...(seconds >= 0 ? { retryAfterMs: Math.min(seconds * UNITS.SECOND_MS, LIMITS.retryAfterMaxMs) } : {}),
  });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function read<T extends z.ZodType>(schema: T, body: unknown): z.output<T> {
  const parsed = schema.safeParse(body);
  if (!parsed.success) throw new PerennialError('internal', { field: 'an answer that is not of this version' });
  return parsed.data;
}

/** Whether a string from outside is a code of the catalogue. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code);
}
