import type { Store, Taken } from '../../../src/core/ports/store.ts';
import type { Parts } from './store-tables.ts';

type Leases = Pick<Store, 'takeLease' | 'seizeLease' | 'renewLease' | 'releaseLease'>;
type Renewal = Parameters<Store['renewLease']>[0];

/** Leases on the database's own clock; a row, once made, stays, so that its fence only grows. */
export function leases({ tables, now }: Parts): Leases {
  const take = ({ authorizationId, owner, leaseMs }: Parameters<Store['takeLease']>[0]): Taken => {
    const before = tables.leases.get(authorizationId);
    const fence = (before?.fence ?? 0) + 1;
    const died = before !== undefined && !before.released && before.owner !== owner;
    const crashes = (before?.crashes ?? 0) + (died ? 1 : 0);
    tables.leases.set(authorizationId, { owner, fence, crashes, released: false, expiresAt: now() + leaseMs });
    return { authorizationId, fence, crashes, takenAt: now(), standing: standingOf({ tables, authorizationId }) };
  };
  return {
    takeLease: async (wanted) => {
      const held = tables.leases.get(wanted.authorizationId);
      return held !== undefined && held.expiresAt > now() ? null : take(wanted);
    },
    seizeLease: async (wanted) => take(wanted),
    renewLease: async (lease) => renew({ tables, now, lease }),
    releaseLease: async (lease) => release({ tables, now, lease }),
  };
}

function standingOf({
  tables,
  authorizationId,
}: Pick<Parts, 'tables'> & { readonly authorizationId: string }): Taken['standing'] {
  const authorization = tables.authorizations.get(authorizationId)?.authorization;
  if (authorization === undefined) return null;
  return {
    authorization,
    tokens: tables.tokens.get(authorizationId) ?? null,
    intent: tables.intents.get(authorizationId) ?? null,
    sourceCondition: tables.sources.get(authorization.source)?.condition ?? null,
  };
}

/** Gives back a lease that is still its owner's. */
export function release({
  tables,
  now,
  lease: { authorizationId, fence, owner, crashes = 0 },
}: Pick<Parts, 'tables' | 'now'> & { readonly lease: Parameters<Store['releaseLease']>[0] }): void {
  const held = tables.leases.get(authorizationId);
  if (held === undefined || held.owner !== owner || held.fence !== fence) return;
  Object.assign(held, { expiresAt: now(), released: true, crashes });
}

/** Lets a lease that is still its owner's last longer; says whether it was. */
export function renew({
  tables,
  now,
  lease: { authorizationId, fence, owner, leaseMs },
}: Pick<Parts, 'tables' | 'now'> & { readonly lease: Renewal }): boolean {
  const held = tables.leases.get(authorizationId);
  if (held === undefined || held.owner !== owner || held.fence !== fence || held.released) return false;
  held.expiresAt = now() + leaseMs;
  return true;
}
