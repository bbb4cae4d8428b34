import { compareDeadlines } from '../../../src/core/catch-up.ts';
import type { FleetStore } from '../../../src/core/ports/fleet.ts';
import type { Parts } from './store-tables.ts';

/** Duties, the reconciler's notes and the plans, in memory. */
export function fleetStore({ tables, now }: Parts): FleetStore {
  const duties = new Map<string, { readonly owner: string; readonly endsAt: number }>();
  let noted: {
    readonly mark: string;
    readonly passedAt: number;
    readonly authorizations: number;
    readonly drift: number;
  };
  let has = false;
  const all = () => [...tables.authorizations.values()].map((row) => row.authorization);
  const isHeld = (id: string) => (tables.leases.get(id)?.expiresAt ?? Number.NEGATIVE_INFINITY) > now();
  const overdue = (before: number) =>
    all().filter(
      ({ id, state, usage, periodMs, nextRunAt, purgeDueAt }) =>
        state === 'active' &&
        usage === 'MULTIPLE' &&
        periodMs !== null &&
        nextRunAt !== null &&
        nextRunAt < before &&
        (purgeDueAt === null || purgeDueAt > before) &&
        !isHeld(id),
    );
  return {
    takeDuty: async ({ name, owner, leaseMs }) => {
      const held = duties.get(name);
      if (held !== undefined && held.owner !== owner && held.endsAt > now()) return false;
      duties.set(name, { owner, endsAt: now() + leaseMs });
      return true;
    },
    releaseDuty: async ({ name, owner }) => {
      if (duties.get(name)?.owner === owner) duties.delete(name);
    },
    reconciled: async () => {
      if (!has) return { mark: null, lastPass: null };
      const { mark, passedAt, authorizations, drift } = noted;
      const passed = Number.isFinite(passedAt);
      return { mark, lastPass: passed ? { agoMs: now() - passedAt, authorizations, drift } : null };
    },
    noteReconciled: async ({ mark, pass }) => {
      const before = has ? noted : { passedAt: Number.NaN, authorizations: 0, drift: 0 };
      noted = pass === undefined ? { ...before, mark } : { ...pass, mark, passedAt: now() };
      has = true;
    },
    plans: async ({ after, limit }) =>
      all()
        .filter(({ id, state }) => state !== 'purged' && (after === null || id > after))
        .sort((left, right) => (left.id < right.id ? -1 : 1))
        .slice(0, limit),
    plansOf: async (ids) => all().filter(({ id }) => ids.includes(id)),
    countOverdue: async ({ before, limit }) => Math.min(limit, overdue(before).length),
    overdueByDeadline: async ({ before, now: at, urgentBefore, lateAfter, limit }) => {
      const withDeadlines = overdue(before).map((authorization) => {
        const tokens = tables.tokens.get(authorization.id);
        return {
          ...authorization,
          periodMs: authorization.periodMs ?? 0,
          lateAfterMs:
            authorization.cadence.lateAfterMs ??
            lateAfter.endpoints[authorization.endpoint.id] ??
            lateAfter.networks[authorization.network] ??
            null,
          accessExpiresAt: tokens?.accessExpiresAt ?? null,
          refreshExpiresAt: tokens?.refreshExpiresAt ?? null,
        };
      });
      return withDeadlines.sort(compareDeadlines({ now: at, urgentBefore })).slice(0, limit);
    },
    replan: async ({ before, plans }) => {
      const moved = plans.filter(({ id, nextRunAt }) => {
        const row = tables.authorizations.get(id);
        const { state, nextRunAt: plannedAt = null } = row?.authorization ?? {};
        if (row === undefined || state !== 'active' || plannedAt === null || plannedAt >= before) return false;
        row.authorization = { ...row.authorization, nextRunAt };
        return true;
      });
      return moved.length;
    },
  };
}
