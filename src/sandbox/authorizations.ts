import type { Endpoint } from './directory.ts';
import { createPatient, expungePatient, type Patient } from './patients.ts';
import type { Size } from './population.ts';
import { namedToken, namedUuid } from './random.ts';
import { type Authorization, knobsOf, type Sandbox, type Tally, type Usage } from './state.ts';

/** Stands in for a patient who goes through Flexpa Link: a new authorization, with its public token not yet exchanged. */
export function createAuthorization(
  sandbox: Sandbox,
  link: { usage: Usage; endpoint: Endpoint; size: Size; externalId: string | null; patient: Patient | null },
): Authorization {
  const name = `perennial-sandbox/${sandbox.seed}/authorization/${sandbox.authorizations.size}`;
  const id = namedUuid(name);
  const nowMs = sandbox.now();
  const authorization: Authorization = {
    id,
    consentId: namedUuid(`${name}/consent`),
    usage: link.usage,
    endpoint: link.endpoint,
    patient: link.patient ?? addPatient(sandbox, { ...link, authorizationId: id, createdAtMs: nowMs }),
    externalId: link.externalId,
    authorizedAtMs: nowMs,
    publicToken: namedToken(`${name}/public`),
    exchangedAtMs: null,
    revokedAtMs: null,
    expunged: false,
    access: [],
    refresh: [],
    refreshTokensMinted: 0,
    tally: emptyTally(),
  };
  sandbox.authorizations.set(id, authorization);
  return authorization;
}

/** Makes the public token count from now; called after the link's own knobs are set, which may name its lifetime. */
export function openPublicToken(sandbox: Sandbox, authorization: Authorization): void {
  sandbox.publicTokens.set(authorization.publicToken, {
    authorizationId: authorization.id,
    expiresAtMs: sandbox.now() + knobsOf(sandbox, authorization).publicTokenMs,
    used: false,
  });
}

/** True when this grant got a refresh token: MULTIPLE, at an endpoint that can refresh (contract 1.8). */
export function isRefreshable(authorization: Authorization): boolean {
  return authorization.usage === 'MULTIPLE' && authorization.endpoint.refreshable;
}

/** The instant after which no refresh works any more, or Infinity. */
export function maxAuthAtMs(sandbox: Sandbox, authorization: Authorization): number {
  const periodS = authorization.endpoint.maxAuthPeriod;
  const periodMs = knobsOf(sandbox, authorization).maxAuthPeriodMs ?? (periodS === null ? null : periodS * 1000);
  return periodMs === null ? Number.POSITIVE_INFINITY : authorization.authorizedAtMs + periodMs;
}

/** Ends every authorization of one patient, and of one endpoint where named. Returns how many live access tokens died. */
export function revokePatient(sandbox: Sandbox, patient: Patient, endpointId?: string): number {
  let count = 0;
  for (const authorization of sandbox.authorizations.values()) {
    if (authorization.patient !== patient || authorization.revokedAtMs !== null) continue;
    if (endpointId !== undefined && authorization.endpoint.id !== endpointId) continue;
    count += liveAccess(sandbox, authorization).length;
    authorization.revokedAtMs = sandbox.now();
    authorization.tally.revocations += 1;
  }
  return count;
}

/** The access tokens of an authorization that would be accepted now. */
export function liveAccess(sandbox: Sandbox, authorization: Authorization): Authorization['access'] {
  if (authorization.revokedAtMs !== null) return [];
  const { oldAccessToken } = knobsOf(sandbox, authorization);
  return authorization.access.filter(
    (grant) => grant.expiresAtMs > sandbox.now() && (oldAccessToken === 'lives' || grant.supersededAtMs === null),
  );
}

/** Drops the data of a grant that cannot refresh once its access token has expired (contract 1.8). */
export function expungeIfOver(sandbox: Sandbox, authorization: Authorization): void {
  if (authorization.expunged || authorization.exchangedAtMs === null || isRefreshable(authorization)) return;
  if (authorization.access.some((grant) => grant.expiresAtMs > sandbox.now())) return;
  authorization.expunged = true;
  authorization.tally.expunges += 1;
  const others = [...sandbox.authorizations.values()].filter((other) => other.patient === authorization.patient);
  if (others.every((other) => other.expunged)) expungePatient(authorization.patient);
}

function addPatient(
  sandbox: Sandbox,
  options: { endpoint: Endpoint; size: Size; authorizationId: string; createdAtMs: number },
): Patient {
  const patient = createPatient({ ...options, seed: sandbox.seed, index: sandbox.patients.size });
  sandbox.patients.set(patient.id, patient);
  return patient;
}

function emptyTally(): Tally {
  return {
    exchanges: 0,
    refreshes: 0,
    reusedRefreshTokens: 0,
    refusedRefreshTokens: 0,
    lostReplies: 0,
    fhirRequests: 0,
    transientAnswers: 0,
    throttledAnswers: 0,
    revocations: 0,
    expunges: 0,
    requestsAfterRevoke: 0,
  };
}
