import { expect, test } from 'vitest';
import { HOUR_MS, MINUTE_MS, requestOf } from '../../support/world.ts';
import type { Stage } from '../system.contract.ts';
import { nearlyOver } from './tokens.ts';

const OUTAGES = ['500', '503', 'html', 'not-json'] as const;

/** What passes by itself: no state changes, nobody is blamed. */
export function waitsForTheSource(stage: () => Stage): void {
  test('a first sync that still runs is waited for, and is no failed run', async () => {
    const { system, world } = stage();
    const link = await world.link({ knobs: { initialSyncMs: 20 * MINUTE_MS } });
    const id = 'still-syncing';
    await system.accept(requestOf(link, { id }));
    const failedRuns = new Set<number>();
    const view = await system.reaches(id, 'pulled', (seen) => {
      failedRuns.add(seen.failedRuns);
      return seen.lastPull?.result === 'complete';
    });
    expect((await world.row(link.authorizationId)).transientAnswers).toBeGreaterThan(0);
    expect([...failedRuns]).toEqual([0]);
    expect(view).toMatchObject({ state: 'active', lastError: null });
    expect(await system.records(id)).toEqual(await world.records(link.patient));
  });

  test('while it is waited for, the view says why', async () => {
    const { system, world } = stage();
    const link = await world.link({ knobs: { initialSyncMs: 100 * HOUR_MS } });
    const id = 'syncing-for-days';
    await system.accept(requestOf(link, { id }));
    const view = await system.reaches(id, 'waits', ({ lastError }) => lastError !== null);
    expect(view).toMatchObject({ state: 'active', lastError: 'upstream_syncing', failedRuns: 0 });
    await system.purge(id);
  });

  test('a quota is waited for, in mid-pull too, and is no failed run', async () => {
    const { system, world } = stage();
    const knobs = { everythingPageSize: 6, throttleRequests: 1, throttleWindowMs: 10 * MINUTE_MS } as const;
    const link = await world.link({ knobs });
    const id = 'throttled';
    await system.accept(requestOf(link, { id }));
    const failedRuns = new Set<number>();
    const view = await system.reaches(id, 'pulled', (seen) => {
      failedRuns.add(seen.failedRuns);
      return seen.lastPull?.result === 'complete';
    });
    expect((await world.row(link.authorizationId)).throttledAnswers).toBeGreaterThan(0);
    expect([...failedRuns]).toEqual([0]);
    expect(view).toMatchObject({ state: 'active', lastError: null });
    expect(await system.records(id)).toEqual(await world.records(link.patient));
  });

  test.each(OUTAGES)(
    'a token endpoint that answers %s changes no state, and the refresh succeeds after it',
    async (kind) => {
      const { system, world } = stage();
      const link = await world.link({ exchanged: true, knobs: { tokenOutage: kind } });
      const id = `outage-${kind}`;
      await system.accept(requestOf(link, { id, ...nearlyOver(world) }));
      const states = new Set<string>();
      await system.reaches(id, 'failed twice', ({ state, failedRuns }) => {
        states.add(state);
        return failedRuns >= 2;
      });
      expect(await system.status(id)).toMatchObject({ lastError: 'upstream_unavailable' });
      await world.turn(link.authorizationId, { tokenOutage: 'none' });
      await system.reaches(id, 'pulled', ({ state, lastPull }) => {
        states.add(state);
        return lastPull?.result === 'complete';
      });
      expect([...states]).toEqual(['active']);
      expect(await system.status(id)).toMatchObject({ failedRuns: 0, lastError: null });
      expect(await world.row(link.authorizationId)).toMatchObject({ refreshes: 1, reusedRefreshTokens: 0 });
    },
  );

  test('a token endpoint that throttles is waited for, and is no failed run', async () => {
    const { system, world } = stage();
    const link = await world.link({ exchanged: true, knobs: { tokenOutage: '429' } });
    const id = 'outage-429';
    await system.accept(requestOf(link, { id, ...nearlyOver(world) }));
    const view = await system.reaches(id, 'throttled', ({ lastError }) => lastError !== null);
    expect(view).toMatchObject({ state: 'active', lastError: 'upstream_throttled', failedRuns: 0 });
    await world.turn(link.authorizationId, { tokenOutage: 'none' });
    const after = await system.reaches(id, 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
    expect(after).toMatchObject({ state: 'active', failedRuns: 0 });
  });

  test('an exchange during an outage stays pending, and succeeds after it', async () => {
    const { system, world } = stage();
    const link = await world.link({ knobs: { tokenOutage: '503' } });
    const id = 'outage-exchange';
    await system.accept(requestOf(link, { id }));
    expect(await system.reaches(id, 'failed', ({ failedRuns }) => failedRuns >= 1)).toMatchObject({ state: 'pending' });
    await world.turn(link.authorizationId, { tokenOutage: 'none' });
    await system.reaches(id, 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
    expect(await world.row(link.authorizationId)).toMatchObject({ exchanges: 1 });
  });
}
