import { expect, test } from 'vitest';
import { until } from '../../support/system-until.ts';
import { HOUR_MS, type Link, type Row, requestOf } from '../../support/world.ts';
import type { Stage } from '../system.contract.ts';
import { nearlyOver } from './tokens.ts';

/** Until the test says otherwise. */
const FOR_EVER_MS = 10_000 * HOUR_MS;
const OUTAGES = ['500', '503', 'html', 'not-json'] as const;

/** What passes by itself: no state changes, nobody is blamed. */
export function waitsForTheSource(stage: () => Stage): void {
  test('a first sync that still runs is waited for, is no failed run, and the view says why', async () => {
    const { system, world } = stage();
    const link = await world.link({ knobs: { initialSyncMs: FOR_EVER_MS } });
    const id = 'still-syncing';
    await system.accept(requestOf(link, { id }));
    expect(await system.reaches(id, 'waits', ({ lastError }) => lastError !== null)).toMatchObject({
      state: 'active',
      lastError: 'upstream_syncing',
      failedRuns: 0,
    });
    await askedAgain({ stage: stage(), link, count: ({ transientAnswers }) => transientAnswers });
    expect(await system.status(id)).toMatchObject({ failedRuns: 0 });
    await world.turn(link.authorizationId, { initialSyncMs: 0 });
    const view = await system.reaches(id, 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
    expect(view).toMatchObject({ state: 'active', lastError: null, failedRuns: 0 });
    expect(await system.records(id)).toEqual(await world.records(link.patient));
  });

  test('a quota is waited for in mid-pull, and is no failed run', async () => {
    const { system, world } = stage();
    const quota = { throttleRequests: 2, throttleWindowMs: FOR_EVER_MS, throttleHint: 'none' } as const;
    const link = await world.link({ knobs: { everythingPageSize: 6, ...quota } });
    const id = 'throttled';
    await system.accept(requestOf(link, { id }));
    await askedAgain({ stage: stage(), link, count: ({ throttledAnswers }) => throttledAnswers });
    expect(await system.status(id)).toMatchObject({ state: 'active', failedRuns: 0 });
    await world.turn(link.authorizationId, { throttleRequests: null });
    const view = await system.reaches(id, 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
    expect(view).toMatchObject({ state: 'active', lastError: null, failedRuns: 0 });
    expect(await system.records(id)).toEqual(await world.records(link.patient));
    const pages = world.seen.filter(({ authorizationId }) => authorizationId === link.authorizationId);
    const first = pages.filter(({ path, status }) => status === 200 && !path.includes('_offset'));
    expect(first, 'the pages it had were not asked for again').toHaveLength(1);
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
      const unsure = kind === 'not-json';
      expect(await system.status(id)).toMatchObject({
        lastError: unsure ? 'refresh_unsure' : 'upstream_unavailable',
        trouble: { kind: unsure ? 'unsure' : 'outage' },
      });
      await world.turn(link.authorizationId, { tokenOutage: 'none' });
      await system.reaches(id, 'refreshed and pulled', ({ state, lastPull, lastError }) => {
        states.add(state);
        return lastPull?.result === 'complete' && lastError === null;
      });
      expect([...states]).toEqual(['active']);
      expect(await system.status(id)).toMatchObject({ failedRuns: 0, lastError: null, trouble: null });
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

/** It was told to wait, waited, and asked again. */
async function askedAgain({
  stage: { world },
  link,
  count,
}: {
  readonly stage: Stage;
  readonly link: Link;
  readonly count: (row: Row) => number;
}): Promise<void> {
  await until(
    'asked again',
    () => world.row(link.authorizationId),
    (row) => count(row) >= 2,
  );
}
