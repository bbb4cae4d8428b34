import { LIMITS } from '../../core/limits.ts';
import type { Store } from '../../core/ports/store.ts';
import { toAuthorization } from './authorization-row.ts';
import { toNumber } from './columns.ts';
import { appendEvent } from './events.ts';
import { applyPatch, fencedBeforePurge, type Parts } from './fenced.ts';

type Calendar = Pick<Store, 'dueWarnings' | 'warn' | 'warnedAt' | 'calendar'>;

/** When authorizations end, and what was said of it. */
export function calendar(parts: Parts): Calendar {
  const { session } = parts;
  return {
    dueWarnings: ({ now: before, limit }) =>
      session.query(async (db) => {
        const rows = await db
          .selectFrom('authorizations')
          .selectAll()
          .where('next_warning_at', '<=', before)
          .orderBy('next_warning_at')
          .orderBy('id')
          .limit(limit)
          .execute();
        return rows.map(toAuthorization);
      }),
    warn: ({ event, nextWarningAt, authorizationId, fence }) =>
      fencedBeforePurge({ session, fence: { authorizationId, fence } }, async (tx, standing) => {
        await appendEvent({ tx, event: { ...event, kind: 'ending', authorizationId } });
        await applyPatch({ tx, authorizationId, standing, patch: { nextWarningAt }, actor: 'worker', parts });
        return 'committed';
      }),
    warnedAt: ({ authorizationId, reason, endsAt }) =>
      session.query(async (db) => {
        const row = await db
          .selectFrom('events')
          .select((eb) => eb.fn.max('at').as('at'))
          .where('authorization_id', '=', authorizationId)
          .where('kind', '=', 'ending')
          .where('reason', '=', reason)
          .where('ends_at', '>', endsAt - LIMITS.sameEndMs)
          .where('ends_at', '<', endsAt + LIMITS.sameEndMs)
          .executeTakeFirst();
        return row?.at ?? null;
      }),
    calendar: ({ before, limit }) =>
      session.query(async (db) => {
        const rows = await db
          .selectFrom('authorizations')
          .selectAll()
          .where('usage', '=', 'MULTIPLE')
          .where('state', 'in', ['active', 'suspended', 'quarantined'])
          .where('ends_at', '<', before)
          .orderBy('ends_at')
          .orderBy('id')
          .limit(limit)
          .execute();
        return rows.map(toAuthorization);
      }),
  };
}

/** How many end, and how many have ended. */
export function endings({ session }: Parts): Pick<Store, 'countEnding' | 'countWaiting'> {
  return {
    countWaiting: () =>
      session.query(async (db) => {
        const row = await db
          .selectFrom('authorizations')
          .select((eb) => eb.fn.countAll().as('count'))
          .where('state', '=', 'needs_reauthorization')
          .executeTakeFirstOrThrow();
        return toNumber(row.count);
      }),
    countEnding: ({ before }) =>
      session.query(async (db) => {
        const row = await db
          .selectFrom('authorizations')
          .select((eb) => eb.fn.countAll().as('count'))
          .where('usage', '=', 'MULTIPLE')
          .where('state', 'in', ['active', 'suspended', 'quarantined'])
          .where('ends_at', '<', before)
          .executeTakeFirstOrThrow();
        return toNumber(row.count);
      }),
  };
}
