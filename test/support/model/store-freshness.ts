import type { Authorization } from '../../../src/core/authorization.ts';
import { type ChangeProfile, remember } from '../../../src/core/change-profile.ts';
import { FRESHNESS_LIMITS } from '../../../src/core/freshness-limits.ts';
import { NETWORKS } from '../../../src/core/networks.ts';
import type { FreshnessStore, ProfileKey } from '../../../src/core/ports/freshness.ts';
import type { Parts } from './store-tables.ts';

/** When endpoints change, and what their sources have told. */
export function freshness({ tables, now }: Parts): Omit<FreshnessStore, 'oldestFreshAsOf' | 'awaitsRun'> {
  const profiles = new Map<string, ProfileKey & { readonly profile: ChangeProfile }>();
  const seen = new Map<string, number>();
  return {
    learnChanges: async ({ network, source, endpointId, tally, at }) => {
      const key = { network, source, endpointId };
      const name = JSON.stringify(key);
      const profile = remember({ profile: profiles.get(name)?.profile ?? null, tally, at });
      profiles.set(name, { ...key, profile });
      return profile;
    },
    changeProfiles: async () => [...profiles.values()],
    forgetProfiles: async ({ before }) => {
      const gone = [...profiles].filter(([, { profile }]) => profile.updatedAt < before);
      for (const [name] of gone) profiles.delete(name);
      return gone.length;
    },
    freshness: async ({ now: at, promises }) =>
      [...NETWORKS].sort().flatMap((network) => {
        const rows = [...tables.authorizations.values()].map(({ authorization }) => authorization);
        const own = rows.filter((one) => one.network === network && one.state === 'active' && one.usage === 'MULTIPLE');
        const aged = own.map(({ freshAsOf, acceptedAt, cadence, endpoint }) => ({
          age: Math.max(0, at - (freshAsOf ?? acceptedAt)),
          lateAfter: cadence.lateAfterMs ?? promises.endpoints[endpoint.id] ?? promises.networks[network],
        }));
        const ages = aged.map(({ age }) => age).sort((left, right) => left - right);
        const part = (share: number) => ages[Math.max(0, Math.ceil(share * ages.length) - 1)] ?? 0;
        const late = aged.filter(({ age, lateAfter }) => age > lateAfter).length;
        const ageMs = { p50: part(0.5), p90: part(0.9), p99: part(0.99), max: part(1) };
        return own.length === 0 ? [] : [{ network, authorizations: own.length, late, ageMs }];
      }),
    takeHook: async ({ source, eventId, id, refs, at, tells }) => {
      for (const [name, seenAt] of seen) if (seenAt < now() - FRESHNESS_LIMITS.hooksSeenForMs) seen.delete(name);
      const name = JSON.stringify([source, eventId]);
      if (seen.has(name)) return null;
      seen.set(name, now());
      const rows = [...tables.authorizations.values()]
        .filter(({ authorization: one }) => {
          const meant = one.id === id || (one.upstreamRef !== null && refs.includes(one.upstreamRef));
          return one.source === source && one.state === 'active' && one.usage === 'MULTIPLE' && meant;
        })
        .sort((left, right) => (left.authorization.id < right.authorization.id ? -1 : 1))
        .slice(0, FRESHNESS_LIMITS.hookMeansMax);
      for (const row of rows) {
        if (tells !== null) row.authorization = toldOf(row.authorization, at);
        if (tells === 'doubt') row.authorization = doubtedOf(row.authorization, tables);
      }
      return rows.map(({ authorization }) => authorization.id);
    },
    askForPull: async ({ authorizationId, at }) => {
      const row = tables.authorizations.get(authorizationId);
      if (row?.authorization.state !== 'active' || row.authorization.usage !== 'MULTIPLE') return;
      row.authorization = { ...toldOf(row.authorization, at), askedAt: Math.max(row.authorization.askedAt ?? at, at) };
    },
  };
}

function doubtedOf(authorization: Authorization, { tokens, intents }: Parts['tables']): Authorization {
  const version = tokens.get(authorization.id)?.version ?? null;
  const isUnderWay = intents.get(authorization.id)?.parked === false;
  return { ...authorization, doubtedVersion: version === null ? null : version + (isUnderWay ? 1 : 0) };
}

function toldOf(authorization: Authorization, at: number): Authorization {
  const { toldAt, nextRunAt } = authorization;
  return { ...authorization, toldAt: Math.max(toldAt ?? at, at), nextRunAt: Math.min(nextRunAt ?? at, at) };
}
