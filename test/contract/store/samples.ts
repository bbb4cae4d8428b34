import { randomBytes, randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import type { Authorization, State } from '../../../src/core/authorization.ts';
import type { Fence, Intent, Receipt, RecordsCommit, SealedTokens, Store } from '../../../src/core/ports/store.ts';
import type { Sql } from '../../support/databases.ts';

/** One opened store and the way around it. `migrateAgain` is what a second process does when it starts. */
export type OpenedStore = {
  readonly store: Store;
  readonly sql: Sql;
  readonly migrateAgain: () => Promise<void>;
  readonly close: () => Promise<void>;
};

export type Use = () => OpenedStore;

export const ACTOR = 'contract';
export const LONG_LEASE_MS = 60_000;
/** The lease that an intent renews. */
export const LEASE = { owner: ACTOR, leaseMs: LONG_LEASE_MS } as const;
export const NOW = 1_800_000_000_000.25;

export function newId(): string {
  return `a-${randomUUID()}`;
}

export function bytes(): Uint8Array {
  return new Uint8Array(randomBytes(48));
}

/** Every field has a value of its own, so that a column written to the wrong place is seen. */
export function authorizationOf(id: string, differences: Partial<Authorization> = {}): Authorization {
  return {
    id,
    service: 'portal',
    source: 'flexpa',
    network: 'TEFCA_IAS',
    endpoint: { id: 'endpoint-1', name: 'St. Elsewhere', refreshable: true, maxAuthorizationPeriodMs: 31_536_000_000 },
    cadence: { pullEveryMs: 3_600_000, lateAfterMs: 7_200_000 },
    usageRequested: 'MULTIPLE',
    usage: 'ONE_TIME',
    usageReason: 'no_refresh_token',
    state: 'active',
    stateReason: 'accepted',
    acceptedAt: NOW + 0.5,
    authorizedAt: NOW + 1,
    ends: { refreshToken: NOW + 20, maxAuthorization: NOW + 21, accessGrant: NOW + 22, consent: NOW + 23 },
    nextWarningAt: NOW + 24,
    trouble: { kind: 'outage', since: NOW + 25, until: NOW + 26 },
    periodMs: 86_400_000.5,
    phase: 0.625,
    nextRunAt: NOW + 3,
    nextPullAt: NOW + 3.5,
    toldAt: NOW + 3.75,
    askedAt: NOW + 3.625,
    doubtedVersion: 2,
    upstreamRef: `ref-${id}`,
    purgeDueAt: NOW + 4,
    purgeReason: 'one_time_expired',
    purgedAt: null,
    atEnd: 'expunge',
    upstreamEnd: 'revoked',
    fetchedAt: NOW + 5,
    lastPull: { at: NOW + 6, result: 'partial', durationMs: 12.5 },
    freshAsOf: NOW + 7,
    failedRuns: 3,
    lastError: 'upstream_timeout',
    ...differences,
  };
}

export function tokensOf(version: number, differences: Partial<SealedTokens> = {}): SealedTokens {
  return {
    version,
    hasRefreshToken: true,
    accessExpiresAt: NOW + 86_400_000.125,
    accessLifetimeMs: 86_400_000.5,
    refreshExpiresAt: NOW + 7_776_000_000,
    doubtAt: NOW + 0.25,
    sealed: bytes(),
    ...differences,
  };
}

export function intentOf(authorizationId: string, differences: Partial<Intent> = {}): Intent {
  return {
    authorizationId,
    kind: 'refresh',
    attemptId: randomUUID(),
    tokenVersion: 1,
    startedAt: NOW + 0.75,
    unsure: false,
    parked: false,
    unclearSince: null,
    ...differences,
  };
}

/** The fingerprint that every sample notes of its data key. */
export const KEY_PRINT = 'a-fingerprint-of-a-key';

/** What a purge would say of {@link authorizationOf}. */
export function receiptOf(
  authorizationId: string,
  differences: Partial<Receipt> = {},
): Omit<Receipt, 'keyFingerprint'> {
  return {
    authorizationId,
    source: 'flexpa',
    network: 'TEFCA_IAS',
    usage: 'ONE_TIME',
    acceptedAt: NOW + 0.5,
    purgedAt: NOW + 9.5,
    dueAt: NOW + 4,
    reason: 'one_time_expired',
    deleted: { tokens: 1, packs: 2, manifests: 1, changes: 3, journal: 4, jobs: 5, queueEvents: 6 },
    upstream: 'not_asked',
    findings: { key: 'gone', tokens: 'gone', records: 'gone', queue: 'gone' },
    ...differences,
  };
}

/** Inserts a new authorization and gives its id. */
export async function inserted(store: Store, differences: Partial<Authorization> = {}): Promise<string> {
  const id = newId();
  const authorization = authorizationOf(id, differences);
  const value = { authorization, fingerprint: 'print', keyFingerprint: KEY_PRINT, tokens: tokensOf(1), actor: ACTOR };
  const result = await store.insert(value);
  expect(result).toBe('inserted');
  return id;
}

export async function taken(store: Store, authorizationId: string): Promise<Fence> {
  const lease = await store.takeLease({ authorizationId, owner: ACTOR, leaseMs: LONG_LEASE_MS });
  if (lease === null) throw new Error('the lease is taken');
  return { authorizationId, fence: lease.fence };
}

/** What a pull commits, in which nothing is but what differs. */
export function commitOf(
  differences: Partial<Omit<RecordsCommit, keyof Fence>> = {},
): Omit<RecordsCommit, keyof Fence> {
  const journal = { state: bytes(), page: bytes(), ended: false };
  return { packs: [], droppedPacks: [], manifests: [], changes: [], journal, ...differences };
}

/** One of everything a pull and a refresh leave behind. */
export async function filled(store: Store, fence: Fence): Promise<void> {
  const { authorizationId } = fence;
  for (const key of ['Patient', 'Coverage']) {
    const packs = [
      { id: `${key}-1`, sealed: bytes() },
      { id: `${key}-2`, sealed: bytes() },
    ];
    const change = { at: NOW, sealed: bytes() };
    const value = commitOf({ packs, manifests: [{ key, sealed: bytes() }], changes: [change] });
    expect(await store.commitRecords({ ...fence, ...value })).toBe('committed');
  }
  expect(await store.openIntent({ ...fence, intent: intentOf(authorizationId), lease: LEASE })).toBe('committed');
}

/** All that the store says about an authorization, to see whether a write that lost has left a trace. */
export async function everythingOf(store: Store, authorizationId: string): Promise<unknown> {
  const manifests = await store.manifests(authorizationId);
  const packIds = manifests.flatMap(({ key }) => [`${key}-1`, `${key}-2`, `${key}-stale`]);
  return {
    authorization: await store.get(authorizationId),
    fingerprints: await store.fingerprintsOf(authorizationId),
    events: (await store.events({ after: 0, limit: 10_000 })).filter(
      (event) => event.authorizationId === authorizationId,
    ),
    tokens: await store.tokens(authorizationId),
    intent: await store.intent(authorizationId),
    manifests,
    journal: await store.pullJournal(authorizationId),
    packs: await Promise.all(packIds.map((id) => store.pack({ authorizationId, id }))),
    changes: await store.changes({ authorizationId, after: 0, limit: 100 }),
    receipt: await store.receipt(authorizationId),
    audit: await store.auditOf(authorizationId),
  };
}

/** Puts a row into a state without asking the state machine. */
export async function forceState(sql: Sql, authorizationId: string, state: State): Promise<void> {
  await sql('update perennial.authorizations set state = $2 where id = $1', [authorizationId, state]);
}

/** Lets a lease end now. */
export async function expireLease(sql: Sql, authorizationId: string): Promise<void> {
  await sql(
    "update perennial.leases set expires_at = clock_timestamp() - interval '1 second' where authorization_id = $1",
    [authorizationId],
  );
}
