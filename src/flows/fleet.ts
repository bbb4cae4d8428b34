import type { FleetView } from '../contract/fleet.ts';
import { promisesOf } from '../core/cadence.ts';
import { LIMITS, UNITS } from '../core/limits.ts';
import type { Context } from './context.ts';

type Looking = Pick<Context, 'store' | 'clock' | 'purgeAlertMs' | 'cadence'>;

/** How late purges are, on the wall: of the last days by their receipts, so that no restart forgets it, and of what is due now. */
export async function purgesOf({ store, clock, purgeAlertMs }: Looking): Promise<FleetView['purges']> {
  const now = clock.now();
  const { purged, p50Ms, p99Ms, oldestDueAt } = await store.purgeLag({ now, since: now - LIMITS.purgeLagOverMs });
  const secondsOf = (ms: number): number => Math.max(0, clock.toWallMs(ms)) / UNITS.SECOND_MS;
  const oldest = oldestDueAt === null ? null : secondsOf(now - oldestDueAt);
  return {
    days: LIMITS.purgeLagOverMs / UNITS.DAY_MS,
    ended: purged,
    lagSeconds: p50Ms === null || p99Ms === null ? null : { p50: secondsOf(p50Ms), p99: secondsOf(p99Ms) },
    oldestUnpurgedSeconds: oldest,
    alertAfterSeconds: purgeAlertMs / UNITS.SECOND_MS,
    alert: oldest !== null && oldest * UNITS.SECOND_MS > purgeAlertMs,
  };
}

/** How old the records of standing authorizations are, by network. */
export async function freshnessOf({
  store,
  clock,
  cadence,
}: Pick<Context, 'store' | 'clock' | 'cadence'>): Promise<FleetView['freshness']> {
  const found = await store.freshness({ now: clock.now(), promises: promisesOf(cadence) });
  const secondsOf = (ms: number): number => ms / UNITS.SECOND_MS;
  return found.map(({ ageMs: { p50, p90, p99, max }, ...rest }) => ({
    ...rest,
    ageSeconds: { p50: secondsOf(p50), p90: secondsOf(p90), p99: secondsOf(p99), max: secondsOf(max) },
  }));
}

/** The whole fleet at a glance. */
export async function fleetOf(looking: Looking): Promise<FleetView> {
  const { store, clock } = looking;
  const [authorizations, freshness, purges, sources] = await Promise.all([
    store.countByState(),
    freshnessOf(looking),
    purgesOf(looking),
    store.sourceStates(),
  ]);
  return {
    at: new Date(clock.now()).toISOString(),
    authorizations,
    freshness,
    purges,
    sourcesInTrouble: sources.length,
  };
}
