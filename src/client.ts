import { type PublicJwk, publicJwkSchema } from './adapters/intake/seal.ts';
import { createHttpApi, type HttpApi, type RecordsAnswer } from './client/http.ts';
import { createQueueIntake, type Outcome, type QueueIntake } from './client/queue.ts';
import type { AccessTokenView, EventView } from './contract/feed.ts';
import { resourceTypeSchema, type SettledView, type TypesView, type Verdict } from './contract/records.ts';
import {
  type AuthorizationRequest,
  type AuthorizationView,
  faultOf,
  idSchema,
  parseAuthorizationRequest,
} from './contract/wire.ts';
import { PerennialError } from './core/errors.ts';

export type { PublicJwk } from './adapters/intake/seal.ts';
export type { RecordsAnswer } from './client/http.ts';
export type { Outcome } from './client/queue.ts';
export { PerennialUnreachable } from './client/unreachable.ts';
export type { AccessTokenView, EventView } from './contract/feed.ts';
export type { SettledView, TypesView, Verdict } from './contract/records.ts';
export type { AuthorizationRequest, AuthorizationView } from './contract/wire.ts';
export { type ErrorCode, PerennialError } from './core/errors.ts';

/** By HTTP: answers say at once what became of the request. */
export type HttpOptions = { readonly url: string; readonly apiKey: string };

/** By Redis: takes requests while no worker runs; sealed to `workerKey` (GET /v1/intake-key). With `url` and `apiKey` it can also ask. */
export type QueueOptions = {
  readonly redisUrl: string;
  readonly workerKey: PublicJwk;
  readonly queuePrefix?: string;
  /** The calling service's name, for the audit trail. */
  readonly service: string;
  readonly url?: string;
  readonly apiKey?: string;
};

export type Enqueued =
  | { readonly id: string; readonly via: 'http'; readonly created: boolean }
  | { readonly id: string; readonly via: 'queue'; readonly jobId: string };
export type Cancelled =
  | { readonly id: string; readonly via: 'http' }
  | { readonly id: string; readonly via: 'queue'; readonly jobId: string };

/**
 * What other services do with Perennial. All rejections are PerennialError (`code`, `field`) or, when nobody answers over HTTP,
 * PerennialUnreachable; with Redis away it is `queue_unreachable`, in under 3 s.
 */
export type Client = {
  /** Hands over one authorization, idempotent on its id. @throws PerennialError `invalid_request` before anything is sent. */
  readonly enqueue: (request: AuthorizationRequest) => Promise<Enqueued>;
  readonly status: (id: string) => Promise<AuthorizationView>;
  /** Ends the authorization; revocation and purge follow at once. */
  readonly cancel: (id: string) => Promise<Cancelled>;
  /** Pulls now, out of turn. */
  readonly pull: (id: string) => Promise<AuthorizationView>;
  /** A valid access token, refreshed if it must be. It is for its `fhirBaseUrl` alone; the API key needs the scope `token`. */
  readonly token: (id: string) => Promise<AccessTokenView>;
  /**
   * The records as NDJSON, as they come: read `chunks` to their end, and go on with the changes after `cursor`. An answer that is cut short rejects in the
   * middle. The API key needs the scope `records`, as for `types`.
   */
  readonly records: (id: string, wanted?: { readonly types?: readonly string[] }) => Promise<RecordsAnswer>;
  /** What is known of each resource type: how its last pull ended, what is held, what is suspected to be gone. */
  readonly types: (id: string) => Promise<TypesView>;
  /** The operator's word on the suspected removals of one type; the API key needs the scope `pull`. */
  readonly settleSuspected: (id: string, resourceType: string, verdict: Verdict) => Promise<SettledView>;
  /** What happened after a cursor (0 from the beginning): keep `next` where your own work is kept, and ask on from there. */
  readonly events: (after: number) => Promise<{ readonly events: readonly EventView[]; readonly next: number }>;
  /** What became of a request that went through the queue; waits up to `timeoutMs`. */
  readonly outcome: (jobId: string, options: { readonly timeoutMs: number }) => Promise<Outcome>;
  readonly close: () => Promise<void>;
};

/** Makes a client. @throws PerennialError `config_invalid` naming the option that does not fit. */
export function createClient(options: HttpOptions | QueueOptions): Client {
  const http = httpOf(options);
  const queue = 'redisUrl' in options ? queueOf(options) : null;
  return {
    enqueue: async (wanted) => {
      const request = parseAuthorizationRequest(wanted);
      if (queue !== null) return { id: request.id, via: 'queue', ...(await queue.accept(request)) };
      const { created } = await needHttp(http).enqueue(request);
      return { id: request.id, via: 'http', created };
    },
    status: async (id) => needHttp(http).status(checkId(id)),
    cancel: async (id) => {
      checkId(id);
      if (http === null && queue !== null) return { id, via: 'queue', ...(await queue.cancel(id)) };
      await needHttp(http).purge(id);
      return { id, via: 'http' };
    },
    pull: async (id) => needHttp(http).pull(checkId(id)),
    token: async (id) => needHttp(http).token(checkId(id)),
    records: async (id, { types } = {}) =>
      needHttp(http).records({ id: checkId(id), ...(types === undefined ? {} : { types: types.map(checkType) }) }),
    types: async (id) => needHttp(http).types(checkId(id)),
    settleSuspected: async (id, resourceType, verdict) =>
      needHttp(http).settleSuspected({ id: checkId(id), resourceType: checkType(resourceType), verdict }),
    events: async (after) => needHttp(http).events({ after }),
    outcome: async (jobId, timing) => needQueue(queue).outcome(jobId, timing),
    close: async () => {
      await Promise.all([http?.close(), queue?.close()]);
    },
  };
}

function httpOf({ url, apiKey }: { readonly url?: string; readonly apiKey?: string }): HttpApi | null {
  if (url === undefined) return null;
  if (apiKey === undefined) throw new PerennialError('config_invalid', { field: 'apiKey is needed with url' });
  return createHttpApi({ url, apiKey });
}

function queueOf({ redisUrl, workerKey, queuePrefix = 'perennial', service }: QueueOptions): QueueIntake {
  const key = publicJwkSchema.safeParse(workerKey);
  if (!key.success) throw new PerennialError('config_invalid', { field: faultOf(key.error, 'workerKey.') });
  if (!idSchema.max(64).safeParse(service).success) {
    throw new PerennialError('config_invalid', { field: 'service must be 1 to 64 letters, digits, dots or dashes' });
  }
  return createQueueIntake({ redisUrl, workerKey: key.data, queuePrefix, service });
}

function needHttp(http: HttpApi | null): HttpApi {
  if (http === null) throw new PerennialError('config_invalid', { field: 'url and apiKey are needed for this call' });
  return http;
}

function needQueue(queue: QueueIntake | null): QueueIntake {
  if (queue === null) throw new PerennialError('config_invalid', { field: 'redisUrl is needed for this call' });
  return queue;
}

function checkId(id: string): string {
  const parsed = idSchema.safeParse(id);
  if (!parsed.success) throw new PerennialError('invalid_request', { field: faultOf(parsed.error, 'id') });
  return parsed.data;
}

function checkType(resourceType: string): string {
  const parsed = resourceTypeSchema.safeParse(resourceType);
  if (!parsed.success) throw new PerennialError('invalid_request', { field: faultOf(parsed.error, 'resourceType') });
  return parsed.data;
}
