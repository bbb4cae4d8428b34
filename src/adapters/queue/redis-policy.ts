import type { RedisAddress } from '../../contract/redis-address.ts';
import { PerennialError } from '../../core/errors.ts';
import { becomesUsable, connectRedis, mastersOf } from './redis-connect.ts';

/**
 * Refuses a Redis that may evict keys: an evicted job is a refresh or a purge that never comes, without a word (BullMQ's production guide). In a Cluster every
 * master is asked, since each has a policy of its own. Reads INFO and not CONFIG, which managed servers forbid.
 * @throws PerennialError `queue_evicts`, or `queue_unreachable` where one does not answer in time.
 */
export async function assertRedisKeeps({
  address,
  connectTimeoutMs,
}: {
  readonly address: RedisAddress;
  readonly connectTimeoutMs: number;
}): Promise<void> {
  const manners = { connectTimeoutMs, commandTimeoutMs: connectTimeoutMs, waits: false, reconnects: false };
  const client = connectRedis({ address, manners });
  try {
    // A server that takes the connection and says nothing would be waited for without end.
    if (!(await becomesUsable({ client, withinMs: connectTimeoutMs }))) throw away();
    const told = await Promise.all(mastersOf(client).map((master) => memoryOf(master)));
    if (told.length === 0) throw away();
    if (told.some(evicts)) throw new PerennialError('queue_evicts', { field: 'REDIS_URL' });
  } finally {
    client.disconnect();
  }
}

async function memoryOf(master: { readonly info: (section: 'memory') => Promise<string> }): Promise<string> {
  try {
    return await master.info('memory');
  } catch {
    throw away();
  }
}

function evicts(info: string): boolean {
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
  return policy !== undefined && policy !== 'noeviction';
}

function away(): PerennialError {
  return new PerennialError('queue_unreachable', { field: 'REDIS_URL' });
}
