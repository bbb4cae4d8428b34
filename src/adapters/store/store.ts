import type { Kysely } from 'kysely';
import type { Instant } from '../../core/clock.ts';
import type { Notary } from '../../core/ports/notary.ts';
import type { Store } from '../../core/ports/store.ts';
import { abilities } from './abilities.ts';
import { atOnce } from './at-once.ts';
import { auditTrail } from './audit.ts';
import { authorizations } from './authorizations.ts';
import { calendar, endings } from './calendar.ts';
import { duties } from './duties.ts';
import { events } from './events.ts';
import { failureOf } from './failures.ts';
import { freshness } from './freshness.ts';
import { leases } from './leases.ts';
import { operations } from './operations.ts';
import { phases } from './phases.ts';
import { plans } from './plans.ts';
import { previews } from './previews.ts';
import { proofs } from './proofs.ts';
import { purges } from './purges.ts';
import { records } from './records.ts';
import { createSession } from './session.ts';
import { sourceStates } from './source-states.ts';
import { sweeps } from './sweeps.ts';
import { SCHEMA, type Tables } from './tables.ts';
import { tokens } from './tokens.ts';

/** The Store port over a migrated database, whichever PostgreSQL it is. `now` dates the audit entries of moves, and the notary signs all entries and receipts. */
export function createStore({
  database,
  now,
  notary,
}: {
  readonly database: Kysely<Tables>;
  readonly now: () => Instant;
  readonly notary: Notary;
}): Store {
  const session = createSession(database.withSchema(SCHEMA));
  const parts = { session, atOnce: atOnce(session), now, notary };
  return {
    ...authorizations(parts),
    ...phases(parts),
    ...leases(parts),
    ...duties(parts),
    ...plans(parts),
    ...tokens(parts),
    ...records(parts),
    ...sweeps(parts),
    ...purges(parts),
    ...proofs(parts),
    ...auditTrail(parts),
    ...sourceStates(parts),
    ...abilities(parts),
    ...calendar(parts),
    ...endings(parts),
    ...events(parts),
    ...freshness(parts),
    ...previews(parts),
    ...operations(parts),
    close: async () => {
      try {
        await database.destroy();
      } catch (error) {
        throw failureOf(error);
      }
    },
  };
}
