import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import { PerennialError } from '../../core/errors.ts';

/** One connection per queue, worker and LISTEN of ours, doubled; the server has one session behind them all. */
const CONNECTIONS_MAX = 64;

type Connection = {
  readonly host: string;
  readonly user: string;
  readonly password: string;
  readonly database: string;
};

/**
 * A PostgreSQL for BullMQ inside this process, its data under `DATA_DIR/queue`. It is apart from the store's own: BullMQ's statements share one
 * session, and would otherwise fall into the middle of a transaction of the store. It is reached through a socket in a folder that only this user can enter.
 */
export async function startEmbeddedQueueDatabase({
  dataDir,
  schema,
}: {
  readonly dataDir: string;
  /** BullMQ's tables; made first and set as the search path, since all of BullMQ's connections share one session. */
  readonly schema: string;
}): Promise<{ readonly connection: Connection; readonly close: () => Promise<void> }> {
  const directory = join(dataDir, 'queue');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const socketDirectory = await mkdtemp(join(tmpdir(), 'perennial-'));
  try {
    const db = await PGlite.create(directory);
    await db.exec(`CREATE SCHEMA IF NOT EXISTS ${schema}`);
    await db.exec(`ALTER DATABASE postgres SET search_path TO ${schema}, public; SET search_path TO ${schema}, public`);
    const server = new PGLiteSocketServer({
      db,
      path: join(socketDirectory, '.s.PGSQL.5432'),
      maxConnections: CONNECTIONS_MAX,
    });
    await server.start();
    return {
      connection: { host: socketDirectory, user: 'postgres', password: 'embedded', database: 'postgres' },
      close: async () => {
        await server.stop();
        await db.close();
        await rm(socketDirectory, { recursive: true, force: true });
      },
    };
  } catch {
    await rm(socketDirectory, { recursive: true, force: true });
    throw new PerennialError('queue_unreachable', { field: 'DATA_DIR' });
  }
}
