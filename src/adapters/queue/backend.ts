import { openPostgresBackend, type PostgresPlace } from './backend-postgres.ts';
import { openRedisBackend } from './backend-redis.ts';
import type { QueueBackend } from './bullmq-parts.ts';

export type { AnyQueue, AnyWorker, QueueBackend } from './bullmq-parts.ts';

export type QueuePlace = { readonly kind: 'redis'; readonly url: string; readonly shards?: number } | PostgresPlace;

/**
 * Opens BullMQ on Redis, on PostgreSQL, or on a PostgreSQL of our own in the process.
 * @throws PerennialError `queue_evicts` when Redis may drop keys, `queue_unreachable` when it does not answer.
 */
export function openQueueBackend({
  place,
  prefix,
}: {
  readonly place: QueuePlace;
  readonly prefix: string;
}): Promise<QueueBackend> {
  if (place.kind === 'redis') return openRedisBackend({ ...place, prefix });
  return openPostgresBackend({ place, prefix });
}
