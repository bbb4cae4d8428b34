import { describe, expect, test } from 'vitest';
import { findServices, missingOf, productionPlace } from '../support/system-places.ts';
import { until } from '../support/system-until.ts';
import { HOUR_MS, requestOf, SPEED } from '../support/world.ts';
import { nearlyOver } from './system/tokens.ts';
import { type Stage, systemContract } from './system.contract.ts';

const { postgres, redisUrl } = await findServices();

if (postgres === null || redisUrl === null) {
  describe.skip(`the system on Redis and Postgres ${missingOf({ postgres, redisUrl })}`, () => {
    test('all of the contract', () => undefined);
  });
} else {
  systemContract('the system on Redis and Postgres', () => productionPlace({ postgres, redisUrl }), survivesSilence);
}

/** Takes the token deadline's 15 s of wall time, so it is told once and not per place. */
function survivesSilence(stage: () => Stage): void {
  test('a token endpoint that does not answer within our deadline changes no state, and the token lives on', async () => {
    const { system, world } = stage();
    const longerThanWeWaitMs = 20_000 * SPEED;
    const knobs = {
      slowTokenMs: longerThanWeWaitMs,
      oldRefreshToken: 'grace-same',
      refreshGraceMs: 12 * HOUR_MS,
    } as const;
    const link = await world.link({ exchanged: true, knobs });
    const id = 'silent-token-endpoint';
    await system.accept(requestOf(link, { id, ...nearlyOver(world) }));
    await until(
      'the refresh is sent',
      () => world.row(link.authorizationId),
      ({ refreshes }) => refreshes === 1,
    );
    await world.turn(link.authorizationId, { slowTokenMs: 0 });
    const states = new Set<string>();
    const view = await system.reaches(id, 'refreshed and pulled', ({ state, lastPull }) => {
      states.add(state);
      return lastPull?.result === 'complete';
    });
    expect(view.state).toBe('active');
    expect([...states]).toEqual(['active']);
    expect(await world.row(link.authorizationId)).toMatchObject({ alive: true, refreshes: 1, reusedRefreshTokens: 1 });
  });
}
