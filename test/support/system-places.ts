import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { postgresForTests, type Sql, type TestPostgres, temporaryFolder } from './databases.ts';
import { layEmptyDatabases } from './embedded-template.ts';
import { dropPrefix, findRedis, randomPrefix } from './real-redis.ts';

/** Where one system of a test keeps its things: settings for it, and what to look at and clear away afterwards. */
export type Place = {
  readonly settings: Readonly<Record<string, string>>;
  /** Made already: where everything lies elsewhere, nobody makes it. */
  readonly dataDir: string;
  /** Where the data keys lie as files, unless they lie in a database. */
  readonly keysDir: string;
  /** The database's own side door; null where the store is embedded. */
  readonly sql: Sql | null;
  readonly redis: { readonly url: string; readonly prefix: string } | null;
  readonly close: () => Promise<void>;
};

/** What answers on this machine. */
export type Services = { readonly postgres: TestPostgres | null; readonly redisUrl: string | null };

/** Why the suites on real services do not run, for their name; the empty string when they do. */
export function missingOf({ postgres, redisUrl }: Services): string {
  if (process.env['PERENNIAL_EMBEDDED_ONLY'] === '1') return 'SKIPPED: PERENNIAL_EMBEDDED_ONLY=1';
  const missing = [postgres === null ? 'POSTGRES' : '', redisUrl === null ? 'REDIS' : ''].filter((name) => name !== '');
  return missing.length === 0 ? '' : `SKIPPED: NO ${missing.join(' AND NO ')} ON 127.0.0.1`;
}

/** Looks for Redis and Postgres. @throws Error where PERENNIAL_REQUIRE_SERVICES=1 and one is missing. */
export async function findServices(): Promise<Services> {
  if (process.env['PERENNIAL_EMBEDDED_ONLY'] === '1') return { postgres: null, redisUrl: null };
  const [postgres, redis] = await Promise.all([postgresForTests(), findRedis()]);
  if (!redis.answers && process.env['PERENNIAL_REQUIRE_SERVICES'] === '1') {
    throw new Error('PERENNIAL_REQUIRE_SERVICES=1, but no Redis answers');
  }
  return { postgres, redisUrl: redis.answers ? redis.url : null };
}

/**
 * Whether the long suites run on the embedded database in this run: where it is all there is, and in soaks. Where services answer they run on those, and CI runs them
 * once more with PERENNIAL_EMBEDDED_ONLY=1.
 */
export async function runsEmbeddedToo(): Promise<boolean> {
  const services = await findServices();
  return missingOf(services) !== '' || process.env['PERENNIAL_SOAK'] === '1';
}

export async function embeddedPlace(): Promise<Place> {
  const folder = await folderPlace();
  await layEmptyDatabases(folder.dataDir);
  return { ...folder, sql: null, redis: null };
}

export async function postgresPlace(postgres: TestPostgres): Promise<Place> {
  const folder = await folderPlace();
  const database = await postgres.createDatabase();
  return {
    ...folder,
    settings: { ...folder.settings, DATABASE_URL: database.databaseUrl },
    sql: database.sql,
    redis: null,
    close: async () => {
      await database.drop();
      await folder.close();
    },
  };
}

/** The production's places: Redis, Postgres, and a database of their own for the data keys. */
export async function productionPlace({
  postgres,
  redisUrl,
}: {
  readonly postgres: TestPostgres;
  readonly redisUrl: string;
}): Promise<Place> {
  const main = await postgresPlace(postgres);
  const keys = await postgres.createDatabase();
  const prefix = randomPrefix();
  return {
    ...main,
    settings: {
      ...main.settings,
      REDIS_URL: redisUrl,
      QUEUE_PREFIX: prefix,
      KEY_DATABASE_URL: keys.databaseUrl,
    },
    redis: { url: redisUrl, prefix },
    close: async () => {
      await main.close();
      await keys.drop();
      await dropPrefix(redisUrl, prefix);
    },
  };
}

/** Data and keys lie side by side in one folder of the test's own, and go with it. */
async function folderPlace(): Promise<Pick<Place, 'settings' | 'dataDir' | 'keysDir' | 'close'>> {
  const { path } = await temporaryFolder();
  const dataDir = join(path, 'data');
  await mkdir(dataDir);
  return { settings: { DATA_DIR: dataDir }, dataDir, keysDir: `${dataDir}-keys`, close: () => remove(path) };
}

function remove(path: string): Promise<void> {
  return rm(path, { recursive: true, force: true, maxRetries: 3 });
}

/** Redis and Postgres where they answer, the embedded database where they do not. */
export async function bestPlace(): Promise<Place> {
  const { postgres, redisUrl } = await findServices();
  return postgres === null || redisUrl === null ? embeddedPlace() : productionPlace({ postgres, redisUrl });
}
