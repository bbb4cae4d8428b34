import { createEntropy } from '../../../src/adapters/system/entropy.ts';
import { sourcesSchema } from '../../../src/adapters/upstream/source-config.ts';
import { createSources } from '../../../src/adapters/upstream/sources.ts';
import type { Authorization } from '../../../src/core/authorization.ts';
import type { Source } from '../../../src/core/ports/upstream.ts';
import { Secret } from '../../../src/core/secret.ts';
import type { Context } from '../../../src/flows/context.ts';
import { type PullReport, pullRecords } from '../../../src/flows/pull.ts';
import { createPullPlaces } from '../../../src/flows/pull-places.ts';
import { readChanges, readRecords } from '../../../src/flows/read-records.ts';
import { createSuspects } from '../../../src/flows/suspects.ts';
import { sealTokens } from '../../../src/flows/token-vault.ts';
import { createQueueModel, queuePort } from '../model/queue.ts';
import { NO_METRICS, SILENT_LOG } from '../model/worker.ts';
import { NO_LEARNER } from '../no-learner.ts';
import { OPEN_GATES } from '../open-gates.ts';

const SOURCE = 'loopback';
const OWNER = 'bench';
const LEASE_MS = 600_000;
const HOUR_MS = 3_600_000;
const CHANGES_MAX = 10_000;

/** What one change list says; where it lies and when it was made is left out, so that two pulls can be compared. */
export type Change = {
  readonly type: string;
  readonly added: readonly string[];
  readonly modified: readonly string[];
  readonly removed: readonly string[];
};

/** Whole pulls by the real flow, over the ports that it is given. */
export type Bench = {
  readonly context: Context;
  /** An authorization with an access token; with `patient` null nobody knows whose records come. */
  readonly accept: (value: { readonly id: string; readonly patient: string | null }) => Promise<void>;
  readonly pull: (value: {
    readonly id: string;
    readonly wantsFull?: boolean;
    readonly signal?: AbortSignal;
  }) => Promise<PullReport>;
  /** The stored resources as text of one character per byte, by `Type/id`. @throws Error where one is stored twice. */
  readonly records: (id: string) => Promise<ReadonlyMap<string, string>>;
  readonly changes: (id: string) => Promise<readonly Change[]>;
  readonly close: () => Promise<void>;
};

/** The bench at a FHIR server on loopback. `rig` changes the store or the source, to watch them or to break them. */
export function openBench({
  baseUrl,
  settings = {},
  rigSource = (source) => source,
  ...ports
}: Pick<Context, 'store' | 'vault' | 'codec' | 'clock'> & {
  readonly baseUrl: string;
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly rigSource?: (source: Source) => Source;
}): Bench {
  const registration = { kind: 'flexpa', baseUrl, publishableKey: 'pk', secretKey: 'sk', ...settings };
  const sources = createSources({ config: sourcesSchema.parse({ [SOURCE]: registration }), clock: ports.clock });
  const real = sources.get(SOURCE);
  if (real === undefined) throw new Error('no source');
  const source = rigSource(real);
  const context: Context = {
    ...ports,
    queue: queuePort({ model: createQueueModel(), clock: ports.clock }),
    sources: { ...sources, get: (name) => (name === SOURCE ? source : undefined) },
    gates: OPEN_GATES,
    suspects: createSuspects(),
    pulls: createPullPlaces({ count: 30 }),
    entropy: createEntropy({ wallNow: ports.clock.wallNow }),
    log: SILENT_LOG,
    metrics: NO_METRICS,
    cadence: { networks: {}, endpoints: {} },
    learner: NO_LEARNER,
    warnDays: [],
    purgeAlertMs: 300_000,
    owner: OWNER,
    stopping: new AbortController().signal,
  };
  return {
    context,
    accept: (value) => accept({ context, ...value }),
    pull: (value) => pull({ context, source, ...value }),
    records: (id) => recordsOf({ context, id }),
    changes: async (id) => {
      const views = await readChanges({ context, authorizationId: id, actor: OWNER, after: 0, limit: CHANGES_MAX });
      return views.map(({ resourceType: type, added, modified, removed }) => ({ type, added, modified, removed }));
    },
    close: sources.close,
  };
}

async function accept({
  context: { store, vault, clock },
  id,
  patient,
}: {
  readonly context: Context;
  readonly id: string;
  readonly patient: string | null;
}): Promise<void> {
  const key = await vault.create(id);
  const lifetimeMs = HOUR_MS;
  const tokens = sealTokens({
    key,
    tokens: {
      accessToken: new Secret('access'),
      refreshToken: null,
      publicToken: null,
      patient: patient === null ? null : new Secret(`Patient/${patient}`),
    },
    version: 1,
    accessExpiresAt: clock.now() + lifetimeMs,
    accessLifetimeMs: lifetimeMs,
    refreshExpiresAt: null,
    doubtAt: null,
  });
  const authorization = authorizationOf({ id, now: clock.now() });
  const inserted = await store.insert({
    authorization,
    fingerprint: id,
    keyFingerprint: key.fingerprint(),
    tokens,
    actor: OWNER,
  });
  if (inserted !== 'inserted') throw new Error(`${id} is taken`);
}

function authorizationOf({ id, now }: { readonly id: string; readonly now: number }): Authorization {
  return {
    id,
    service: OWNER,
    source: SOURCE,
    network: 'TEFCA_IAS',
    endpoint: { id: 'endpoint' },
    cadence: {},
    usageRequested: 'MULTIPLE',
    usage: 'MULTIPLE',
    usageReason: 'as_requested',
    state: 'active',
    stateReason: 'accepted',
    acceptedAt: now,
    authorizedAt: now,
    ends: { refreshToken: null, maxAuthorization: null, accessGrant: null, consent: null },
    nextWarningAt: null,
    trouble: null,
    periodMs: HOUR_MS,
    phase: 0,
    nextRunAt: null,
    nextPullAt: null,
    toldAt: null,
    askedAt: null,
    doubtedVersion: null,
    upstreamRef: null,
    purgeDueAt: null,
    purgeReason: null,
    purgedAt: null,
    atEnd: null,
    upstreamEnd: null,
    fetchedAt: null,
    lastPull: null,
    freshAsOf: null,
    failedRuns: 0,
    lastError: null,
  };
}

async function pull({
  context,
  source,
  id,
  wantsFull = false,
  signal = new AbortController().signal,
}: {
  readonly context: Context;
  readonly source: Source;
  readonly id: string;
  readonly wantsFull?: boolean;
  readonly signal?: AbortSignal;
}): Promise<PullReport> {
  const { store, vault, owner } = context;
  // Seized, because the process that held it before may have been killed.
  const fence = await store.seizeLease({ authorizationId: id, owner, leaseMs: LEASE_MS });
  const authorization = await store.get(id);
  if (authorization === null) throw new Error(`${id} is not there`);
  const work = {
    context,
    held: {
      fence,
      signal,
      crashes: 0,
      survived: () => undefined,
      storeNow: context.clock.now,
      standing: null,
      wasReleased: () => {},
    },
    authorization,
    source,
    key: await vault.open(id),
  };
  return pullRecords({ work, wantsFull, giveToken: async () => new Secret('access') });
}

/** One character per byte: what differs in a byte differs here. */
export function latin(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

async function recordsOf({
  context,
  id,
}: {
  readonly context: Context;
  readonly id: string;
}): Promise<ReadonlyMap<string, string>> {
  const records = new Map<string, string>();
  const { resources } = await readRecords({ context, authorizationId: id, actor: OWNER });
  for await (const { bytes } of resources) {
    const resource: unknown = JSON.parse(new TextDecoder().decode(bytes));
    const name = `${textOf(resource, 'resourceType')}/${textOf(resource, 'id')}`;
    if (records.has(name)) throw new Error('a resource is stored twice');
    records.set(name, latin(bytes));
  }
  return records;
}

function textOf(value: unknown, name: string): string {
  return typeof value === 'object' && value !== null ? String(Reflect.get(value, name)) : '';
}
