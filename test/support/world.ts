import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { createClock } from '../../src/adapters/system/clock.ts';
import { type AuthorizationRequest, parseAuthorizationRequest } from '../../src/contract/wire.ts';
import { NETWORKS } from '../../src/core/networks.ts';
import type { Clock } from '../../src/core/ports/clock.ts';
import type { Knobs } from '../../src/sandbox/knobs.ts';
import { startSandbox } from '../../src/sandbox/server.ts';

/** One virtual minute takes 100 ms of wall time: coarse enough for a busy machine, fast enough for a test. */
export const SPEED = 600;
export const SECOND_MS = 1_000;
export const MINUTE_MS = 60 * SECOND_MS;
export const HOUR_MS = 60 * MINUTE_MS;

/** Half an hour, the default, is three seconds here. */
const PUBLIC_TOKEN_MS = 24 * HOUR_MS;
export const SEED = 11;
export const WEBHOOK_SECRET = 'canary-webhook-secret-4b1e';

const linkSchema = z.object({
  publicToken: z.string().optional(),
  patient: z.string(),
  authorizationId: z.string(),
  endpoint: z.object({ id: z.string(), name: z.string(), refreshable: z.boolean(), network: z.enum(NETWORKS) }),
  token: z
    .object({
      access_token: z.string(),
      expires_in: z.number(),
      refresh_token: z.string().optional(),
      refresh_expires_in: z.number().nullish(),
    })
    .optional(),
});
export type Link = z.infer<typeof linkSchema>;

const rowSchema = z.object({
  authorizationId: z.string(),
  alive: z.boolean(),
  exchanges: z.number(),
  refreshes: z.number(),
  reusedRefreshTokens: z.number(),
  refusedRefreshTokens: z.number(),
  lostReplies: z.number(),
  fhirRequests: z.number(),
  transientAnswers: z.number(),
  throttledAnswers: z.number(),
  revocations: z.number(),
  expunges: z.number(),
  requestsAfterRevoke: z.number(),
});
export type Row = z.infer<typeof rowSchema>;

const changesSchema = z.object({
  added: z.array(z.string()),
  edited: z.array(z.string()),
  removed: z.array(z.string()),
});

/** One request that reached the source: whose token it carried, how it was answered, and when (wall, in `performance.now`). */
export type Seen = {
  readonly method: string;
  readonly path: string;
  /** The source's id of the authorization, where the request carried one of its access tokens. */
  readonly authorizationId: string | null;
  readonly startedAt: number;
  endedAt: number | null;
  status: number | null;
};

export type World = {
  readonly url: string;
  readonly clock: Clock;
  /** The clock's rate, for a process of Perennial. */
  readonly rate: Readonly<Record<'CLOCK_SPEED' | 'CLOCK_EPOCH_MS', string>>;
  readonly seen: readonly Seen[];
  /** A patient connects; `exchanged` hands out tokens at once. */
  readonly link: (wanted: {
    readonly usage?: 'ONE_TIME' | 'MULTIPLE';
    readonly endpoint?: string;
    readonly size?: 'small' | 'medium' | number;
    readonly exchanged?: boolean;
    readonly knobs?: Partial<Knobs>;
  }) => Promise<Link>;
  readonly turn: (authorizationId: string, knobs: Partial<Knobs>) => Promise<void>;
  readonly revoke: (authorizationId: string) => Promise<void>;
  /** Has the source send its webhooks there, signed with {@link WEBHOOK_SECRET}; null sends them nowhere. */
  readonly tell: (url: string | null) => Promise<void>;
  /** Changes a patient's records; every id as `Type/id`. */
  readonly change: (
    patient: string,
    counts: { readonly add?: number; readonly edit?: number; readonly remove?: number },
  ) => Promise<z.infer<typeof changesSchema>>;
  /** The patient's records as they are served, a line each. */
  readonly records: (patient: string) => Promise<readonly string[]>;
  readonly row: (authorizationId: string) => Promise<Row>;
  readonly rows: () => Promise<ReadonlyMap<string, Row>>;
  readonly close: () => Promise<void>;
};

/** A sandbox in this process on a fast clock, whose patients change only when told to, and a record of every request to it. */
export async function startWorld({
  speed = SPEED,
  knobs = {},
}: {
  readonly speed?: number;
  readonly knobs?: Partial<Knobs>;
} = {}): Promise<World> {
  const epochMs = createClock({ epochMs: 0, speed: 1 }).wallNow();
  const clock = createClock({ epochMs, speed });
  const sandbox = await startSandbox({
    seed: SEED,
    clock: { now: clock.now, toWallMs: clock.toWallMs, wallNow: clock.wallNow },
    knobs: { evolves: false, publicTokenMs: PUBLIC_TOKEN_MS, ...knobs },
  });
  const watching = watch(sandbox.port);
  const call = async (method: string, path: string, body?: unknown): Promise<string> => {
    const response = await fetch(`${sandbox.url}/sandbox${path}`, {
      method,
      ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`sandbox ${method} ${path} answered ${response.status} ${text}`);
    return text;
  };
  const rowsOf = async (query: string): Promise<readonly Row[]> => {
    const parsed = z.object({ authorizations: z.array(rowSchema) });
    return parsed.parse(JSON.parse(await call('GET', `/stats?records=false${query}`))).authorizations;
  };
  return {
    url: sandbox.url,
    clock,
    rate: { CLOCK_SPEED: String(speed), CLOCK_EPOCH_MS: String(epochMs) },
    seen: watching.seen,
    link: async ({
      usage = 'MULTIPLE',
      endpoint = 'commons-exchange',
      size = 'small',
      exchanged = false,
      knobs: own,
    }) =>
      linkSchema.parse(
        JSON.parse(
          await call('POST', `/links${exchanged ? '?exchange=true' : ''}`, {
            usage,
            endpointId: endpoint,
            size,
            ...(own === undefined ? {} : { knobs: own }),
          }),
        ),
      ),
    turn: async (authorizationId, wanted) =>
      void (await call('PUT', '/knobs', { authorizations: { [authorizationId]: wanted } })),
    revoke: async (authorizationId) => void (await call('POST', `/authorizations/${authorizationId}/revoke`, {})),
    tell: async (url) =>
      void (await call('PUT', '/webhook', { url: url ?? 'http://127.0.0.1:9/nobody', secret: WEBHOOK_SECRET })),
    change: async (patient, counts) =>
      changesSchema.parse(JSON.parse(await call('POST', `/patients/${bare(patient)}/changes`, counts))),
    records: async (patient) => linesOf(await call('GET', `/patients/${bare(patient)}/resources`)),
    row: async (authorizationId) => {
      const [row] = await rowsOf(`&authorization=${authorizationId}`);
      if (row === undefined) throw new Error('the sandbox does not know this authorization');
      return row;
    },
    rows: async () => new Map((await rowsOf('')).map((row) => [row.authorizationId, row])),
    close: async () => {
      watching.stop();
      await sandbox.close();
    },
  };
}

/** What a caller hands over for a link: its public token, or the tokens of an exchange done elsewhere. */
export function requestOf(
  link: Link,
  change: Partial<AuthorizationRequest> & { readonly id: string },
): AuthorizationRequest {
  const { name, network } = link.endpoint;
  const common = {
    source: 'sandbox',
    usage: 'MULTIPLE',
    network,
    // Faults of the sandbox are one patient's: his endpoint is his own, or its gate would close before all others too.
    endpoint: { id: `payer-of-${change.id}`, name },
    patient: link.patient,
  };
  const { token } = link;
  const tokens =
    token === undefined
      ? { publicToken: link.publicToken }
      : {
          accessToken: token.access_token,
          expiresIn: token.expires_in,
          ...(token.refresh_token === undefined ? {} : { refreshToken: token.refresh_token }),
          ...(typeof token.refresh_expires_in === 'number' ? { refreshExpiresIn: token.refresh_expires_in } : {}),
        };
  return parseAuthorizationRequest({ ...common, ...tokens, ...change });
}

/** The sources of a Perennial that talks to this world, one per way of pulling, and one to be refused by. */
export function sourcesOf(world: Pick<World, 'url'>): string {
  const flexpa = {
    kind: 'flexpa',
    baseUrl: world.url,
    publishableKey: 'pk_test_sandbox',
    secretKey: 'sk_test_sandbox',
  };
  return JSON.stringify({
    sandbox: flexpa,
    searching: { ...flexpa, pullBy: 'search', resourceTypes: SEARCHED_TYPES, searchQuery: '_count=5' },
    refusing: flexpa,
    telling: { ...flexpa, webhookSecret: ['a-secret-that-was-replaced', WEBHOOK_SECRET] },
    patients: { ...flexpa, pullBy: 'search', resourceTypes: ['Patient'], searchQuery: '' },
  });
}

/** The types that the sandbox's patients have. */
const SEARCHED_TYPES = [
  'Patient',
  'Organization',
  'Practitioner',
  'Coverage',
  'ExplanationOfBenefit',
  'Encounter',
  'Condition',
  'Observation',
  'MedicationRequest',
  'Immunization',
  'Procedure',
  'AllergyIntolerance',
  'DiagnosticReport',
  'DocumentReference',
];

/** Pairs of requests that carried tokens of one authorization at the same time. */
export function overlapsOf(seen: readonly Seen[]): readonly (readonly [Seen, Seen])[] {
  const latest = new Map<string, Seen>();
  const overlaps: (readonly [Seen, Seen])[] = [];
  for (const one of [...seen].sort((left, right) => left.startedAt - right.startedAt)) {
    if (one.authorizationId === null) continue;
    const before = latest.get(one.authorizationId);
    if (before !== undefined && (before.endedAt ?? Number.POSITIVE_INFINITY) > one.startedAt)
      overlaps.push([before, one]);
    latest.set(one.authorizationId, one);
  }
  return overlaps;
}

export function linesOf(ndjson: string): readonly string[] {
  return ndjson.split('\n').filter((line) => line !== '');
}

/** By type and id, as the sandbox sorts. */
export function sortedRecords(lines: readonly string[]): readonly string[] {
  const keyed = lines.map((line) => [keyOf(line), line] as const);
  return keyed.sort(([left], [right]) => (left < right ? -1 : 1)).map(([, line]) => line);
}

function keyOf(line: string): string {
  const resource: unknown = JSON.parse(line);
  if (typeof resource !== 'object' || resource === null) throw new Error('not a resource');
  return `${String(Reflect.get(resource, 'resourceType'))}/${String(Reflect.get(resource, 'id'))}`;
}

function bare(patient: string): string {
  return patient.replace(/^Patient\//, '');
}

/** Listens to Node's own reports about the servers of this process, so that nothing stands between the worker and the source. */
function watch(port: number): { readonly seen: readonly Seen[]; readonly stop: () => void } {
  const seen: Seen[] = [];
  const started = (message: unknown): void => {
    const request: unknown = messagePart(message, 'request');
    const response: unknown = messagePart(message, 'response');
    if (!(request instanceof IncomingMessage) || !(response instanceof ServerResponse)) return;
    const path = request.url ?? '';
    if (request.socket.localPort !== port || path.startsWith('/sandbox/')) return;
    const one: Seen = {
      method: request.method ?? '',
      path,
      authorizationId: subjectOf(request.headers.authorization ?? ''),
      startedAt: performance.now(),
      endedAt: null,
      status: null,
    };
    seen.push(one);
    response.once('close', () => {
      one.endedAt = performance.now();
      one.status = response.writableFinished ? response.statusCode : null;
    });
  };
  subscribe('http.server.request.start', started);
  return { seen, stop: () => unsubscribe('http.server.request.start', started) };
}

function messagePart(message: unknown, name: string): unknown {
  return typeof message === 'object' && message !== null ? Reflect.get(message, name) : undefined;
}

function subjectOf(authorization: string): string | null {
  const payload = /^Bearer [^.]+\.([^.]+)\./.exec(authorization)?.[1];
  if (payload === undefined) return null;
  const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
  const subject = messagePart(claims, 'sub');
  return typeof subject === 'string' ? subject : null;
}
