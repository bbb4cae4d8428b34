import { createPostgresBackend, withBackend } from 'bullmq';
import { PerennialError } from '../../core/errors.ts';
import { QUEUES } from '../../core/ports/queue.ts';
import { type AnyQueue, keepOf, QUEUE_SETTINGS, type QueueBackend } from './bullmq-parts.ts';
import { openPostgresCensus } from './census-postgres.ts';
import { startEmbeddedQueueDatabase } from './embedded.ts';
import { layoutOf } from './layout.ts';
import type { Payload } from './trail.ts';
import { openPostgresTrail } from './trail-postgres.ts';

/**
 * How often a worker on the embedded database looks for jobs. Its one session tells a NOTIFY to whoever sent it and not to who listens, so a worker that knew
 * of a job in an hour would sleep until then (measured: a job added meanwhile was not taken in 15 s). Five workers that look twice a second take 4 % of a core.
 */
const EMBEDDED_POLL_S = 0.5;
/** Connections of the pool that one queue or worker on PostgreSQL keeps, besides its LISTEN connection. */
const POSTGRES_POOL_SIZE = 2;

export type PostgresPlace =
  | { readonly kind: 'postgres'; readonly url: string }
  | { readonly kind: 'embedded'; readonly dataDir: string };

/** BullMQ on PostgreSQL. It has one shard: one database does not become two by another name. @throws PerennialError `queue_unreachable`. */
export async function openPostgresBackend({
  place,
  prefix,
}: {
  readonly place: PostgresPlace;
  readonly prefix: string;
}): Promise<QueueBackend> {
  const schema = `bullmq_${prefix.replaceAll('-', '_')}`;
  const embedded =
    place.kind === 'embedded' ? await startEmbeddedQueueDatabase({ dataDir: place.dataDir, schema }) : null;
  const where = embedded === null && place.kind === 'postgres' ? { connectionString: place.url } : embedded?.connection;
  if (where === undefined) throw new PerennialError('queue_unreachable');
  const connection = { ...where, schema, max: POSTGRES_POOL_SIZE };
  const classes = withBackend(embedded === null ? createPostgresBackend : createPollingBackend);
  const polling = embedded === null ? {} : { drainDelay: EMBEDDED_POLL_S };
  try {
    await migrate(new classes.Queue<Payload, void>(QUEUES[0], { connection: { ...connection, migrate: true } }));
  } catch (error) {
    await embedded?.close();
    throw error;
  }
  const trail = openPostgresTrail({ connection: where, schema });
  const census = openPostgresCensus({ connection: where, schema });
  return {
    kind: place.kind,
    layout: layoutOf({ prefix, shards: 1, cluster: false }),
    layouts: null,
    redis: null,
    createQueue: ({ name }) => new classes.Queue<Payload, void>(name, { connection, ...QUEUE_SETTINGS }),
    createWorker: ({ name }, processor, { concurrency }) =>
      new classes.Worker<Payload, void>(name, processor, { connection, concurrency, ...polling, ...keepOf(name) }),
    trail,
    censusOf: () => census,
    isUsable: () => true,
    close: async () => {
      await trail.close();
      await census.close();
      await embedded?.close();
    },
  };
}

const createPollingBackend: typeof createPostgresBackend = (name, options, more) => {
  const backend = createPostgresBackend(name, options, more);
  Object.defineProperty(backend, 'maximumBlockTimeout', { value: EMBEDDED_POLL_S });
  return backend;
};

/** Once and before the rest: five queues that migrate at the same time wait for each other for ever on one embedded session. */
async function migrate(queue: AnyQueue): Promise<void> {
  queue.on('error', () => {});
  try {
    await queue.waitUntilReady();
  } catch {
    throw new PerennialError('queue_unreachable', { field: 'DATABASE_URL' });
  } finally {
    await queue.close();
  }
}
