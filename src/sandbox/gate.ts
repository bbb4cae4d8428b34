import { type Access, judgeAccess } from './access.ts';
import { evolve, latestSyncMs } from './evolution.ts';
import { retryHeaders } from './hints.ts';
import type { Knobs } from './knobs.ts';
import { boom, type Headers, outcome, Refusal, type Reply } from './reply.ts';
import { bearerOf, type Request } from './request.ts';
import { type Authorization, knobsOf, type Sandbox, scopeOf, type ThrottleWindow } from './state.ts';

/** A FHIR request that may be answered: whose data, under which knobs, and the headers that go with every answer. */
export type Admitted = {
  /** One for a patient's token; all exchanged ones for an application token. */
  readonly authorizations: readonly Authorization[];
  /** The token's own patient; null for an application token. */
  readonly own: Authorization | null;
  readonly knobs: Knobs;
  readonly headers: Headers;
  readonly fault: Partial<Pick<Reply, 'cut'>>;
};

/**
 * Lets a FHIR request in, or refuses it: token, first sync, quota, page fault, in this order, so that a 429 transient
 * never uses up quota. @throws {Refusal}
 */
export function admit(sandbox: Sandbox, request: Request): Admitted {
  const access = judgeAccess(sandbox, bearerOf(request));
  if (access.kind === 'application') return admitApplication(sandbox);
  if (access.kind === 'dead') throw new Refusal(unauthorized(sandbox, access));
  const { authorization } = access;
  const knobs = knobsOf(sandbox, authorization);
  authorization.tally.fhirRequests += 1;
  evolve(authorization.patient, knobs, sandbox.now());
  const slow = { delayMs: knobs.slowFhirMs };
  const refusal = syncRefusal(sandbox, authorization, knobs);
  if (refusal !== null) throw new Refusal({ ...refusal, ...slow });
  const headers = throttle(sandbox, authorization, knobs);
  const fault = pageFault(authorization, knobs);
  if (fault !== null && fault.kind !== 'cut') throw new Refusal({ ...fault.reply, ...slow });
  return {
    authorizations: [authorization],
    own: authorization,
    knobs,
    headers,
    fault: fault === null ? {} : { cut: 'middle' },
  };
}

function admitApplication(sandbox: Sandbox): Admitted {
  const knobs = knobsOf(sandbox);
  const authorizations = [...sandbox.authorizations.values()].filter(
    (it) => it.exchangedAtMs !== null && it.revokedAtMs === null && !it.expunged,
  );
  return { authorizations, own: null, knobs, headers: {}, fault: {} };
}

function unauthorized(sandbox: Sandbox, access: Extract<Access, { kind: 'dead' }>): Reply {
  const { fhir401Body: style, endedGrantStatus } = knobsOf(sandbox, access.authorization);
  const ended = access.authorization !== undefined && access.authorization.revokedAtMs !== null;
  if (ended && endedGrantStatus === 404) return outcome(404, 'not-found', 'Data Access Grant was Not Found');
  return style === 'boom' ? boom(401, 'Invalid access token') : outcome(401, 'login', 'Invalid access token');
}

function syncRefusal(sandbox: Sandbox, authorization: Authorization, knobs: Knobs): Reply | null {
  const nowMs = sandbox.now();
  const syncedAt = [authorization.exchangedAtMs ?? nowMs];
  if (knobs.syncBlocks === 'every') syncedAt.push(latestSyncMs(authorization.patient, knobs, nowMs) ?? 0);
  if (nowMs < Math.max(...syncedAt) + knobs.initialSyncMs) {
    authorization.tally.transientAnswers += 1;
    const headers = retryHeaders(knobs.transientHint, knobs.transientRetryAfterMs, nowMs);
    return outcome(429, 'transient', 'Patient data is still syncing', headers);
  }
  return knobs.syncFails ? outcome(422, 'processing', 'Patient data could not be synced') : null;
}

function throttle(sandbox: Sandbox, authorization: Authorization, knobs: Knobs): Headers {
  if (knobs.throttleRequests === null) return {};
  const scope = scopeOf(authorization);
  const own = sandbox.knobs.ownedByAuthorization(scope, 'throttleRequests');
  const window = currentWindow(sandbox, own ? scope.authorizationId : scope.endpointId, knobs.throttleWindowMs);
  const resetMs = window.startMs + knobs.throttleWindowMs - sandbox.now();
  const limits = (remaining: number): Headers => ({
    'x-ratelimit-limit': String(knobs.throttleRequests),
    'x-ratelimit-remaining': String(remaining),
    'x-ratelimit-reset': String(Math.ceil(resetMs / 1000)),
  });
  if (window.used >= knobs.throttleRequests) {
    authorization.tally.throttledAnswers += 1;
    const bare = knobs.throttleHint === 'none' || knobs.throttleHint === 'ratelimit';
    const headers = { ...(bare ? {} : limits(0)), ...retryHeaders(knobs.throttleHint, resetMs, sandbox.now()) };
    throw new Refusal(outcome(429, 'throttled', 'Too many requests', headers));
  }
  window.used += 1;
  return limits(knobs.throttleRequests - window.used);
}

function currentWindow(sandbox: Sandbox, key: string, windowMs: number): ThrottleWindow {
  const startMs = sandbox.now() - (sandbox.now() % windowMs);
  const known = sandbox.throttles.get(key);
  if (known?.startMs === startMs) return known;
  const fresh = { startMs, used: 0 };
  sandbox.throttles.set(key, fresh);
  return fresh;
}

function pageFault(authorization: Authorization, knobs: Knobs): { kind: Knobs['pageFaultKind']; reply: Reply } | null {
  const nth = knobs.pageFaultOnRequest;
  if (nth === null) return null;
  const count = authorization.tally.fhirRequests;
  if (knobs.pageFaultRepeats ? count % nth !== 0 : count !== nth) return null;
  const failed = outcome(500, 'exception', 'Internal error');
  if (knobs.pageFaultKind === 'reset') return { kind: 'reset', reply: { ...failed, cut: 'before' } };
  if (knobs.pageFaultKind !== 'html') return { kind: knobs.pageFaultKind, reply: failed };
  const headers = { 'content-type': 'text/html; charset=utf-8' };
  return { kind: 'html', reply: { status: 502, headers, body: '<!doctype html><title>502 Bad Gateway</title>' } };
}
