import { type Kysely, sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import { PerennialError } from '../../core/errors.ts';
import { failureOf } from './failures.ts';
import { MIGRATIONS } from './migrations.ts';
import { SCHEMA, type Tables } from './tables.ts';

const MIGRATION_TABLE = 'schema_migrations';
/** Any number that nobody else locks in this database: "perennial" as a word of ours. */
const LOCK_ID = 7_305_112_911_411;

/**
 * Brings the database to this version. Any number of processes may call it at once: one session-level lock lets them in one by one,
 * from before the schema exists. All migrations that are missing run in one transaction.
 * @throws PerennialError `database_newer` when the database has a migration that this version does not know.
 */
export async function migrate(database: Kysely<Tables>): Promise<void> {
  try {
    await database.connection().execute(async (connection) => {
      await sql`select pg_advisory_lock(${LOCK_ID}::bigint)`.execute(connection);
      try {
        await migrateAlone(connection);
      } finally {
        await sql`select pg_advisory_unlock(${LOCK_ID}::bigint)`.execute(connection);
      }
    });
  } catch (error) {
    throw failureOf(error);
  }
}

async function migrateAlone(connection: Kysely<Tables>): Promise<void> {
  for (const name of await appliedMigrations(connection)) {
    if (!Object.hasOwn(MIGRATIONS, name)) throw new PerennialError('database_newer');
  }
  const migrator = new Migrator({
    db: connection,
    provider: { getMigrations: async () => ({ ...MIGRATIONS }) },
    migrationTableSchema: SCHEMA,
    migrationTableName: MIGRATION_TABLE,
    migrationLockTableName: `${MIGRATION_TABLE}_lock`,
  });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) throw error;
}

async function appliedMigrations(connection: Kysely<Tables>): Promise<readonly string[]> {
  const table = sql.id(SCHEMA, MIGRATION_TABLE);
  const { rows } = await sql<{ readonly present: boolean }>`
    select to_regclass(${`${SCHEMA}.${MIGRATION_TABLE}`}) is not null as present`.execute(connection);
  if (rows[0]?.present !== true) return [];
  const applied = await sql<{ readonly name: string }>`select name from ${table}`.execute(connection);
  return applied.rows.map(({ name }) => name);
}
