import type { Store } from '../../core/ports/store.ts';
import { toAuthorization } from './authorization-row.ts';
import { toNumber } from './columns.ts';
import { appendEvent } from './events.ts';
import { applyPatch, fencedBeforePurge, type Parts } from './fenced.ts';

type Calendar = Pick<Store, 'dueWarnings' | 'warn' | 'warnedAt' | 'calendar' | 'countEnding'>;

/** When authorizations end, and what was said of it. */
export function calendar({ session, now }: Parts): Calendar {
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
        await applyPatch({ tx, authorizationId, standing, patch: { nextWarningAt }, actor: 'worker', now });
        return 'committed';
      }),
    warnedAt: ({ authorizationId, endsAt }) =>
      session.query(async (db) => {
        const row = await db
          .selectFrom('events')
          .select((eb) => eb.fn.max('at').as('at'))
          .where('authorization_id', '=', authorizationId)
          .where('kind', '=', 'ending')
          .where('ends_at', '=', endsAt)
          .executeTakeFirst();
        return row?.at ?? null;
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
    calendar: ({ before, limit }) =>
      session.query(async (db) => {
        const rows = await db
          .selectFrom('authorizations')
          .selectAll()
          .where('usage', '=', 'MULTIPLE')
          .where((eb) =>
            eb.or([
              eb.and([eb('state', 'in', ['active', 'suspended', 'quarantined']), eb('ends_at', '<', before)]),
              eb('state', '=', 'needs_reauthorization'),
            ]),
          )
          .orderBy((eb) => eb.case().when('state', '=', 'needs_reauthorization').then(0).else(1).end())
          .orderBy('ends_at')
          .orderBy('id')
          .limit(limit)
          .execute();
        return rows.map(toAuthorization);
      }),
  };
}
