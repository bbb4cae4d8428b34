import { hash } from 'node:crypto';
import { expungeIfOver, isRefreshable, liveAccess, maxAuthAtMs } from './authorizations.ts';
import { stateOf } from './consent.ts';
import { evolve } from './evolution.ts';
import { countByType } from './link-routes.ts';
import { recordOf } from './patients.ts';
import { type Authorization, knobsOf, type Sandbox } from './state.ts';

/** How much of a refresh token's sha256 is shown: enough to compare with, useless to spend. */
const PREFIX_HEX = 12;

/** What happened to one authorization, without its record, which costs nothing to tell. No token is in it. */
export function tallyOf(sandbox: Sandbox, authorization: Authorization): Record<string, unknown> {
  expungeIfOver(sandbox, authorization);
  const { patient, endpoint } = authorization;
  const refresh = currentRefresh(sandbox, authorization);
  return {
    authorizationId: authorization.id,
    patient: `Patient/${patient.id}`,
    endpoint: { id: endpoint.id, name: endpoint.name, network: endpoint.network, refreshable: endpoint.refreshable },
    usage: authorization.usage,
    externalId: authorization.externalId,
    state: stateOf(authorization),
    alive: refresh !== null || liveAccess(sandbox, authorization).length > 0,
    ...authorization.tally,
    refreshTokenSha256Prefix: refresh === null ? null : hash('sha256', refresh, 'hex').slice(0, PREFIX_HEX),
  };
}

/** The same, and what its patient's record is now, up to date: counts per type and a hash over all bytes. */
export function statsOf(sandbox: Sandbox, authorization: Authorization): Record<string, unknown> {
  const tally = tallyOf(sandbox, authorization);
  evolve(authorization.patient, knobsOf(sandbox, authorization), sandbox.now());
  return {
    ...tally,
    resources: countByType(authorization),
    resourcesSha256: hash('sha256', servedNdjson(authorization), 'hex'),
    lastChangeAtMs: authorization.patient.lastChangeMs,
  };
}

/** Every resource that is served now, sorted by `Type/id`, one a line; its sha256 is `resourcesSha256` in the stats. */
export function servedNdjson(authorization: Pick<Authorization, 'patient' | 'expunged'>): Buffer {
  if (authorization.expunged) return Buffer.alloc(0);
  const record = recordOf(authorization.patient);
  const newline = Buffer.from('\n');
  const sorted = [...record.keys()].sort();
  return Buffer.concat(sorted.flatMap((key) => [record.get(key)?.body ?? Buffer.alloc(0), newline]));
}

function currentRefresh(sandbox: Sandbox, authorization: Authorization): string | null {
  const latest = authorization.refresh.findLast((grant) => grant.spentAtMs === null);
  if (latest === undefined || authorization.revokedAtMs !== null || !isRefreshable(authorization)) return null;
  const untilMs = Math.min(latest.expiresAtMs, maxAuthAtMs(sandbox, authorization));
  return sandbox.now() < untilMs ? latest.token : null;
}
