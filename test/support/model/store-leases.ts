import type { Fence, Store } from '../../../src/core/ports/store.ts';
import type { Parts } from './store-tables.ts';

type Leases = Pick<Store, 'takeLease' | 'seizeLease' | 'renewLease' | 'releaseLease'>;
type Renewal = Parameters<Store['renewLease']>[0];

/** Leases on the database's own clock; a row, once made, stays, so that its fence only grows. */
export function leases({ tables, now }: Parts): Leases {
  const take = ({ authorizationId, owner, leaseMs }: Parameters<Store['takeLease']>[0]): Fence => {
    const fence = (tables.leases.get(authorizationId)?.fence ?? 0) + 1;
    tables.leases.set(authorizationId, { owner, fence, expiresAt: now() + leaseMs });
    return { authorizationId, fence };
  };
  return {
    takeLease: async (wanted) => {
      const held = tables.leases.get(wanted.authorizationId);
      return held !== undefined && held.expiresAt > now() ? null : take(wanted);
    },
    seizeLease: async (wanted) => take(wanted),
    renewLease: async (lease) => renew({ tables, now, lease }),
    releaseLease: async ({ authorizationId, fence, owner }) => {
      const held = tables.leases.get(authorizationId);
      if (held !== undefined && held.owner === owner && held.fence === fence) held.expiresAt = now();
    },
  };
}

/** Lets a lease that is still its owner's last longer; says whether it was. */
export function renew({
  tables,
  now,
  lease: { authorizationId, fence, owner, leaseMs },
}: Pick<Parts, 'tables' | 'now'> & { readonly lease: Renewal }): boolean {
  const held = tables.leases.get(authorizationId);
  if (held === undefined || held.owner !== owner || held.fence !== fence) return false;
  held.expiresAt = now() + leaseMs;
  return true;
}
