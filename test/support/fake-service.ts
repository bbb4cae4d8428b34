import type { EventView, SourceStateView } from '../../src/contract/feed.ts';
import type { FleetView } from '../../src/contract/fleet.ts';
import type { KeyCensusView, RotationView } from '../../src/contract/keys.ts';
import type { PlannedLoadView } from '../../src/contract/plan-load.ts';
import { entryViewOf, type ReceiptView } from '../../src/contract/proof.ts';
import type { StoredResource, TypesView } from '../../src/contract/records.ts';
import type { Service } from '../../src/contract/service.ts';
import type { AuthorizationRequest, AuthorizationView, ChangeView } from '../../src/contract/wire.ts';
import type { CadenceTable } from '../../src/core/cadence.ts';
import { PerennialError } from '../../src/core/errors.ts';
import type { StoredEntry, Unlinked } from '../../src/core/ports/audit.ts';
import type { Head } from '../../src/core/ports/notary.ts';

const NOW = '2026-07-01T12:00:00.000Z';
/** Nobody was purged yet, and nobody is due. */
const QUIET: FleetView = {
  at: NOW,
  authorizations: {
    pending: 0,
    active: 2,
    needs_reauthorization: 1,
    suspended: 0,
    quarantined: 0,
    purging: 0,
    purged: 0,
  },
  purges: {
    days: 7,
    ended: 0,
    lagSeconds: null,
    oldestUnpurgedSeconds: null,
    alertAfterSeconds: 300,
    alert: false,
  },
  freshness: [
    {
      network: 'TEFCA_IAS',
      authorizations: 2,
      late: 0,
      ageSeconds: { p50: 3_600, p90: 7_200, p99: 7_200, max: 7_200 },
    },
  ],
  sourcesInTrouble: 0,
};

/** One network that runs half as often. */
const CHANGE: PlannedLoadView['networks'][number] = {
  network: 'TEFCA_IAS',
  endpointId: null,
  authorizations: 1_440,
  moved: 1_440,
  before: { runsPerDay: 5_760, peakMinute: 6, meanMinute: 4 },
  after: { runsPerDay: 2_880, peakMinute: 4, meanMinute: 2 },
  oldestAgeSeconds: 64_800,
  late: 0,
};
const PLAN: PlannedLoadView = {
  at: NOW,
  hours: 48,
  networks: [CHANGE],
  endpoints: [{ ...CHANGE, endpointId: 'payer-1' }],
  moreEndpoints: 0,
  quarterHours: { before: new Array<number>(192).fill(60), after: new Array<number>(192).fill(30) },
};

export type FakeService = Service & {
  readonly views: Map<string, AuthorizationView>;
  readonly requests: Map<string, AuthorizationRequest>;
  readonly actors: string[];
  /** What `records` gives, and what it saw of its reader. */
  readonly stored: {
    resources: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
    cursor: number;
    asked: number;
    ended: boolean;
    wanted: readonly string[] | undefined;
  };
  readonly kept: {
    changes: ChangeView[];
    events: EventView[];
    sources: SourceStateView[];
    waiting: number;
    fleet: FleetView;
    receipt: ReceiptView | null;
    receipts: ReceiptView[];
    entries: StoredEntry[];
    heads: Head[];
    anchors: Head[];
    unlinked: Unlinked;
    rotations: Omit<RotationView, 'next'>[];
    censuses: Omit<KeyCensusView, 'next'>[];
    types: TypesView['types'];
    verdicts: string[];
    operations: string[];
    tables: CadenceTable[];
    plan: PlannedLoadView;
  };
  /** When set, every call rejects with it. */
  failure: unknown;
};

/** An in-memory Service: accepts, conflicts and forgets as the contract says, without flows behind it. */
export function createFakeService(): FakeService {
  const views = new Map<string, AuthorizationView>();
  const requests = new Map<string, AuthorizationRequest>();
  const actors: string[] = [];
  const stored: FakeService['stored'] = {
    resources: [],
    cursor: 0,
    asked: 0,
    ended: false,
    wanted: undefined,
  };
  const kept: FakeService['kept'] = {
    changes: [],
    events: [],
    sources: [],
    waiting: 0,
    fleet: QUIET,
    receipt: null,
    receipts: [],
    entries: [],
    heads: [],
    anchors: [],
    unlinked: { before: 0, after: 0 },
    rotations: [{ currentKeyId: 'k2', rewrapped: 0, current: 0, gone: 0, unreadable: 0 }],
    censuses: [{ currentKeyId: 'k2', keys: [], unreadable: 0 }],
    types: [],
    verdicts: [],
    operations: [],
    tables: [],
    plan: PLAN,
  };
  const find = (id: string) => {
    if (fake.failure !== null) throw fake.failure;
    const view = views.get(id);
    if (view === undefined) throw new PerennialError('authorization_not_found');
    return view;
  };
  const change = (id: string, actor: string, patch: Partial<AuthorizationView>) => {
    const view = { ...find(id), ...patch };
    actors.push(actor);
    views.set(id, view);
    return view;
  };
  const fake: FakeService = {
    views,
    requests,
    actors,
    stored,
    kept,
    failure: null,
    accept: async ({ request, actor }) => {
      if (fake.failure !== null) throw fake.failure;
      actors.push(actor);
      const first = requests.get(request.id);
      if (first !== undefined) {
        if (JSON.stringify(first) !== JSON.stringify(request)) throw new PerennialError('authorization_conflict');
        return { authorization: find(request.id), created: false };
      }
      requests.set(request.id, request);
      views.set(request.id, viewOf(request));
      return { authorization: find(request.id), created: true };
    },
    status: async (id) => find(id),
    list: async ({ after, limit, state }) => {
      if (fake.failure !== null) throw fake.failure;
      return [...views.values()]
        .sort((left, right) => (left.id < right.id ? -1 : 1))
        .filter((view) => (after === null || view.id > after) && (state === undefined || view.state === state))
        .slice(0, limit);
    },
    requestPurge: async ({ id, actor }) => change(id, actor, { state: 'purging', why: 'requested' }),
    pullNow: async ({ id, actor }) => change(id, actor, {}),
    release: async ({ id, actor }) => change(id, actor, { state: 'active', why: 'released_by_operator' }),
    records: async ({ id, actor, types, asOf }) => {
      find(id);
      actors.push(actor);
      stored.wanted = types;
      const { cursor } = stored;
      if (asOf !== undefined && asOf !== cursor) throw new PerennialError('cursor_moved', { field: `asOf ${cursor}` });
      return { cursor, fhirBaseUrl: 'https://fhir.example/r4', resources: reading(stored) };
    },
    types: async ({ id }) => {
      find(id);
      return { types: kept.types, cursor: stored.cursor, pulling: false };
    },
    settleSuspected: async ({ id, actor, resourceType, verdict }) => {
      find(id);
      const count = kept.types.find((one) => one.resourceType === resourceType)?.suspected?.count;
      if (count === undefined) throw new PerennialError('nothing_suspected');
      kept.verdicts.push(`${actor} ${resourceType} ${verdict}`);
      return { resourceType, verdict, count };
    },
    changes: async ({ id, after, limit }) => {
      find(id);
      return kept.changes.filter(({ cursor }) => cursor > after).slice(0, limit);
    },
    token: async ({ id, actor }) => {
      find(id);
      actors.push(actor);
      return {
        accessToken: 'a-token-for-the-asking',
        tokenType: 'Bearer',
        expiresAt: NOW,
        expiresIn: 60,
        fhirBaseUrl: 'https://fhir.example/r4',
        patient: null,
      };
    },
    events: async ({ after, limit }) => kept.events.filter(({ cursor }) => cursor > after).slice(0, limit),
    calendar: async ({ limit }) => ({ ending: [...views.values()].slice(0, limit), more: 0, waiting: kept.waiting }),
    fleet: async () => kept.fleet,
    takeHook: async ({ source }) => {
      if (fake.failure !== null) throw fake.failure;
      kept.operations.push(`hook ${source}`);
    },
    planLoad: async (table) => {
      if (fake.failure !== null) throw fake.failure;
      kept.tables.push(table);
      return kept.plan;
    },
    sources: async () => kept.sources,
    receipt: async ({ id, actor }) => {
      find(id);
      actors.push(actor);
      if (kept.receipt === null) throw new PerennialError('not_found');
      return kept.receipt;
    },
    receipts: async ({ actor, after, limit }) => {
      actors.push(actor);
      return kept.receipts.filter(({ link }) => (link?.seq ?? 0) > after).slice(0, limit);
    },
    audit: async ({ actor, chain, after, limit }) => {
      actors.push(actor);
      const found = kept.entries.filter(({ link, cursor }) => (link?.chain ?? null) === chain && cursor > after);
      return found.slice(0, limit).map(entryViewOf);
    },
    noteOperation: async ({ actor, what }) => {
      if (fake.failure !== null) throw fake.failure;
      kept.operations.push(`${actor} ${what}`);
    },
    auditHeads: async () => ({
      heads: kept.heads,
      anchors: kept.anchors,
      unlinked: { entries: kept.unlinked, receipts: { before: 0, after: 0 } },
    }),
    rotateKeys: async ({ after, actor }) => {
      actors.push(actor);
      return pageOf(kept.rotations, after);
    },
    keys: async ({ after }) => pageOf(kept.censuses, after),
  };
  return fake;
}

/** The page that is asked for by the place of the one before it. */
function pageOf<T extends object>(pages: readonly T[], after: string | null): T & { readonly next: string | null } {
  const index = Number(after ?? 0);
  const page = pages[index];
  if (page === undefined) throw new PerennialError('internal');
  return { ...page, next: index + 1 < pages.length ? String(index + 1) : null };
}

async function* reading(stored: FakeService['stored']): AsyncGenerator<StoredResource> {
  try {
    for await (const bytes of stored.resources) {
      stored.asked += 1;
      yield { type: 'Basic', id: String(stored.asked), bytes };
    }
  } finally {
    stored.ended = true;
  }
}

function viewOf(request: AuthorizationRequest): AuthorizationView {
  return {
    id: request.id,
    service: 'portal',
    source: request.source,
    network: request.network,
    endpoint: request.endpoint,
    usage: request.usage,
    usageRequested: request.usage,
    usageReason: 'as_requested',
    state: 'active',
    why: 'accepted',
    acceptedAt: NOW,
    endsAt: null,
    endsBecause: null,
    ends: { refreshToken: null, maxAuthorization: null, accessGrant: null, consent: null },
    trouble: null,
    nextRunAt: '2026-07-01T18:00:00.000Z',
    periodSeconds: 21_600,
    purgeDueAt: null,
    purgeReason: null,
    atEnd: null,
    purgedAt: null,
    lastPull: { at: NOW, result: 'complete', durationMs: 1_250 },
    freshness: { asOf: NOW, ageSeconds: 3_600, promiseSeconds: 86_400, late: false },
    failedRuns: 0,
    lastError: null,
  };
}

/** A request that fits the contract, with tokens that no answer, log line or queue may ever show. */
export const CANARIES = [
  'canary-access-7f3a',
  'canary-refresh-9c1d',
  'canary-public-4e2b',
  'canary-patient-55',
] as const;

export function requestOf(id: string, change: Partial<AuthorizationRequest> = {}): AuthorizationRequest {
  return {
    id,
    source: 'flexpa',
    usage: 'MULTIPLE',
    network: 'TEFCA_IAS',
    endpoint: { id: 'payer-1', name: 'Payer One' },
    patient: 'Patient/canary-patient-55',
    accessToken: 'canary-access-7f3a',
    refreshToken: 'canary-refresh-9c1d',
    expiresIn: 86_400,
    ...change,
  };
}
