import type { Instant } from '../core/clock.ts';
import { codeOf } from '../core/errors.ts';
import { FRESHNESS_LIMITS } from '../core/freshness-limits.ts';
import type { Context } from './context.ts';

/** One look whether purges ended since `since`; if so, the room of what they deleted is given back in both databases. Gives the instant to look from next time. */
export async function reclaimAfterPurges({
  context: { store, vault, clock, log },
  since,
}: {
  readonly context: Context;
  readonly since: Instant;
}): Promise<Instant> {
  const now = clock.now();
  try {
    const { lastPurgedAt } = await store.purgeLag({ now, since });
    if (lastPurgedAt === null) return since;
    const sinceStart = clock.stopwatch();
    await store.reclaim();
    await vault.reclaim();
    log.info('reclaimed', { durationMs: Math.round(sinceStart()) });
    return now;
  } catch (error) {
    log.warn('not_reclaimed', { code: codeOf(error) });
    return since;
  }
}

/** Forgets when the records of an endpoint change once nobody pulls there any more. Never rejects: the next look does it again. */
export async function forgetSilentEndpoints({
  store,
  clock,
  log,
}: Pick<Context, 'store' | 'clock' | 'log'>): Promise<void> {
  try {
    const count = await store.forgetProfiles({ before: clock.now() - FRESHNESS_LIMITS.profileKeptMs });
    if (count > 0) log.info('endpoints_forgotten', { count });
  } catch (error) {
    log.warn('endpoints_not_forgotten', { code: codeOf(error) });
  }
}
