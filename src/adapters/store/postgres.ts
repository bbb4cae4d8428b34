import type { Instant } from '../../core/clock.ts';
import type { Notary } from '../../core/ports/notary.ts';
import type { Store } from '../../core/ports/store.ts';
import { limits } from './limits.ts';
import { migrate } from './migrate.ts';
import { openPool } from './pool.ts';
import { createStore } from './store.ts';

/**
 * The store on a PostgreSQL server (15 or newer), migrated to this version. `now` is the domain's clock, which dates the audit entries of moves; the notary signs them.
 * @throws PerennialError `database_unreachable`, `database_newer`
 */
export async function openPostgresStore({
  databaseUrl,
  poolSize,
  now,
  notary,
}: {
  readonly databaseUrl: string;
  readonly poolSize: number;
  readonly now: () => Instant;
  readonly notary: Notary;
}): Promise<Store> {
  // A connection of its own, because migrations may take longer than any statement of ours should.
  const migrating = openPool({ databaseUrl, poolSize: 1, statementTimeoutMs: limits.migrationTimeoutMs });
  try {
    await migrate(migrating);
  } finally {
    await migrating.destroy();
  }
  const database = openPool({ databaseUrl, poolSize, statementTimeoutMs: limits.statementTimeoutMs });
  return createStore({ database, now, notary });
}
