import type { Authorization } from '../../../src/core/authorization.ts';
import { NO_ENDS } from '../../../src/core/calendar.ts';
import { Secret } from '../../../src/core/secret.ts';
import { spreadOf } from '../../../src/core/spread.ts';
import { type OpenTokens, sealTokens } from '../../../src/flows/token-vault.ts';
import { SOURCE_NAME } from './far-source.ts';
import { EPOCH_MS, type World } from './world.ts';

/** So short that a token comes due in each round of a schedule. */
const ACCESS_LIFETIME_MS = 120_000;
const PERIOD_MS = 60_000;

/** Takes up an authorization whose first token is due at once. */
export async function accept({ world, id }: { readonly world: World; readonly id: string }): Promise<void> {
  const { policy, refreshLifetimeMs } = world.plan;
  const terms = { policy, refreshLifetimeMs, accessLifetimeMs: ACCESS_LIFETIME_MS, idleMs: null, endsAt: null };
  const pair = world.server.grant({ id, terms, now: EPOCH_MS });
  const key = await world.vault.create(id);
  const tokens = sealTokens({
    key,
    tokens: openPair(pair),
    version: 1,
    accessExpiresAt: EPOCH_MS - 1,
    doubtAt: null,
    accessLifetimeMs: ACCESS_LIFETIME_MS,
    refreshExpiresAt: refreshLifetimeMs === null ? null : EPOCH_MS + refreshLifetimeMs,
  });
  await world.store.insert({
    authorization: authorizationOf(id),
    fingerprint: 'f',
    keyFingerprint: key.fingerprint(),
    tokens,
    actor: 'test',
  });
  world.usable.add(pair.access);
  world.stored.set(id, { version: 1, refresh: pair.refresh, access: pair.access });
}

/** An authorization that was accepted at the beginning of time and has done nothing yet. */
export function authorizationOf(id: string): Authorization {
  return {
    id,
    service: 'test',
    source: SOURCE_NAME,
    network: 'TEFCA_IAS',
    endpoint: { id: 'endpoint' },
    cadence: {},
    usageRequested: 'MULTIPLE',
    usage: 'MULTIPLE',
    usageReason: 'as_requested',
    state: 'active',
    stateReason: 'accepted',
    acceptedAt: EPOCH_MS,
    authorizedAt: EPOCH_MS,
    ends: NO_ENDS,
    nextWarningAt: null,
    trouble: null,
    periodMs: PERIOD_MS,
    phase: spreadOf(id),
    nextRunAt: EPOCH_MS,
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

/** A pair as it lies sealed, for the patient that every authorization here has. */
export function openPair({ access, refresh }: { readonly access: string; readonly refresh: string }): OpenTokens {
  const [accessToken, refreshToken] = [new Secret(access), new Secret(refresh)];
  return { accessToken, refreshToken, publicToken: null, patient: new Secret('p') };
}
