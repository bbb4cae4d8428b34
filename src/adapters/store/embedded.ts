import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { Kysely, PGliteDialect } from 'kysely';
import type { Instant } from '../../core/clock.ts';
import type { Notary } from '../../core/ports/notary.ts';
import type { Store } from '../../core/ports/store.ts';
import { failureOf } from './failures.ts';
import { migrate } from './migrate.ts';
import { createStore } from './store.ts';
import type { Tables } from './tables.ts';

/**
 * The store on a PostgreSQL inside this process, its data under `DATA_DIR/store`. The caller holds the lock of the directory (`lockDataDir`): a second
 * process on the same files would destroy them. A killed process loses nothing; a power cut may, because PGlite does not flush to the disk.
 */
export async function openEmbeddedStore({
  dataDir,
  now,
  notary,
}: {
  readonly dataDir: string;
  readonly now: () => Instant;
  readonly notary: Notary;
}): Promise<Store> {
  return createStore({ database: await openEmbeddedDatabase({ dataDir }), now, notary });
}

/** The migrated tables under {@link openEmbeddedStore}. */
export async function openEmbeddedDatabase({ dataDir }: { readonly dataDir: string }): Promise<Kysely<Tables>> {
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    const pglite = await PGlite.create(join(dataDir, 'store'));
    const database = new Kysely<Tables>({ dialect: new PGliteDialect({ pglite }) });
    try {
      await migrate(database);
    } catch (error) {
      await database.destroy();
      throw error;
    }
    return database;
  } catch (error) {
    throw failureOf(error);
  }
}
