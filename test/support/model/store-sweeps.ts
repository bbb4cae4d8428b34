import type { Authorization } from '../../../src/core/authorization.ts';
import { earliestEnd } from '../../../src/core/calendar.ts';
import { LIMITS } from '../../../src/core/limits.ts';
import type { Store } from '../../../src/core/ports/store.ts';
import { appendEvent, applyPatch, fencedBeforePurge, type Parts } from './store-tables.ts';

type Sweeps = Pick<
  Store,
  | 'duePurges'
  | 'orphanIntents'
  | 'overdueRuns'
  | 'awaitsRun'
  | 'oldestFreshAsOf'
  | 'dueWarnings'
  | 'warn'
  | 'warnedAt'
  | 'calendar'
  | 'countEnding'
  | 'countWaiting'
  | 'events'
>;

/** All that should have happened and did not, and the ends that come nearer. */
export function sweeps(parts: Parts): Sweeps {
  const { tables, now } = parts;
  const isHeld = (authorizationId: string): boolean =>
    (tables.leases.get(authorizationId)?.expiresAt ?? Number.NEGATIVE_INFINITY) > now();
  const all = (): readonly Authorization[] => [...tables.authorizations.values()].map((row) => row.authorization);
  return {
    duePurges: async ({ now: instant, limit }) =>
      all()
        .filter(({ state, purgeDueAt }) => {
          if (state === 'purged' || state === 'purging') return state === 'purging';
          return purgeDueAt !== null && purgeDueAt <= instant;
        })
        .sort(by(({ purgeDueAt }) => purgeDueAt ?? Number.NEGATIVE_INFINITY))
        .slice(0, limit)
        .map(({ id }) => id),
    orphanIntents: async ({ limit }) =>
      [...tables.intents.values()]
        .filter(({ authorizationId, parked }) => !parked && !isHeld(authorizationId))
        .sort((left, right) => left.startedAt - right.startedAt || compare(left.authorizationId, right.authorizationId))
        .slice(0, limit)
        .map(({ authorizationId }) => authorizationId),
    overdueRuns: async ({ before, limit }) =>
      all()
        .filter(({ id, state, nextRunAt, purgeDueAt }) => {
          const waits = (state === 'pending' || state === 'active') && nextRunAt !== null && nextRunAt < before;
          return waits && (purgeDueAt === null || purgeDueAt > before) && !isHeld(id);
        })
        .sort(by(({ nextRunAt }) => nextRunAt ?? 0))
        .slice(0, limit),
    awaitsRun: async ({ authorizationId, at }) =>
      all().some(({ id, state, nextRunAt }) => {
        const isDue = state === 'active' && nextRunAt !== null && nextRunAt <= at;
        return id === authorizationId && isDue && !isHeld(id);
      }),
    oldestFreshAsOf: async () => {
      const kept = all().filter(({ state, usage }) => state === 'active' && usage === 'MULTIPLE');
      const fresh = kept.flatMap(({ freshAsOf }) => (freshAsOf === null ? [] : [freshAsOf]));
      return fresh.length === 0 ? null : Math.min(...fresh);
    },
    dueWarnings: async ({ now: instant, limit }) =>
      all()
        .filter(({ nextWarningAt }) => nextWarningAt !== null && nextWarningAt <= instant)
        .sort(by(({ nextWarningAt }) => nextWarningAt ?? 0))
        .slice(0, limit),
    ...ends(parts, all),
  };
}

function ends(
  parts: Parts,
  all: () => readonly Authorization[],
): Pick<Store, 'warn' | 'warnedAt' | 'calendar' | 'countEnding' | 'countWaiting' | 'events'> {
  const { tables } = parts;
  return {
    warn: async ({ event, nextWarningAt, ...fence }) =>
      fencedBeforePurge({ tables, fence }, (row) => {
        const { authorizationId } = fence;
        appendEvent({ tables, event: { ...event, kind: 'ending', authorizationId } });
        applyPatch({ parts, row, patch: { nextWarningAt }, actor: 'worker' });
        return 'committed';
      }),
    warnedAt: async ({ authorizationId, reason, endsAt }) => {
      const warnings = tables.events.filter((event) => {
        const same = event.endsAt !== null && Math.abs(event.endsAt - endsAt) < LIMITS.sameEndMs;
        return event.kind === 'ending' && event.authorizationId === authorizationId && event.reason === reason && same;
      });
      return warnings.length === 0 ? null : Math.max(...warnings.map(({ at }) => at));
    },
    calendar: async ({ before, limit }) =>
      all()
        .filter((authorization) => isStanding(authorization) && endOf(authorization) < before)
        .sort(by(endOf))
        .slice(0, limit),
    countWaiting: async () => all().filter(({ state }) => state === 'needs_reauthorization').length,
    countEnding: async ({ before }) =>
      all().filter((authorization) => isStanding(authorization) && endOf(authorization) < before).length,
    events: async ({ after, limit }) => tables.events.slice(after, after + limit),
  };
}

function isStanding({ usage, state }: Authorization): boolean {
  return usage === 'MULTIPLE' && (state === 'active' || state === 'suspended' || state === 'quarantined');
}

function endOf({ ends: known }: Authorization): number {
  return earliestEnd(known)?.at ?? Number.POSITIVE_INFINITY;
}

/** By a number, and by id where it is the same. */
function by(numberOf: (authorization: Authorization) => number) {
  return (left: Authorization, right: Authorization): number => {
    const [a, b] = [numberOf(left), numberOf(right)];
    return a === b ? compare(left.id, right.id) : a < b ? -1 : 1;
  };
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
