import { PerennialError } from '../../core/errors.ts';
import type { QueueBackend } from './bullmq-parts.ts';

/** Calls to a backend that fail at once while it is away: ioredis would have a call to a Cluster wait, and send it long after its caller was told that it failed. */
export function usableOn(backend: Pick<QueueBackend, 'isUsable'>): <T>(call: () => Promise<T>) => Promise<T> {
  return (call) => (backend.isUsable() ? translated(call) : Promise.reject(new PerennialError('queue_unreachable')));
}

/** Whatever of BullMQ's or a driver's errors fails a call is `queue_unreachable` from here on, and its cause goes no further. */
export async function translated<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof PerennialError) throw error;
    throw new PerennialError('queue_unreachable');
  }
}
