import type { Instant } from '../core/clock.ts';
import type { Context } from './context.ts';

/**
 * The earlier of this worker's clock and the store's. Whoever is about to end something because of the time asks this one: a worker whose clock ran an hour
 * fast would else end authorizations that their source still serves (promise P33). One query, and only when an end seems to have come.
 */
export async function sureNow({ clock, store }: Pick<Context, 'clock' | 'store'>): Promise<Instant> {
  return Math.min(clock.now(), clock.fromWall(await store.wallNow()));
}
