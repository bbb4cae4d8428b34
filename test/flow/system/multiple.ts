import { expect, test } from 'vitest';
import { until } from '../../support/system-until.ts';
import { HOUR_MS, requestOf } from '../../support/world.ts';
import type { Stage } from '../system.contract.ts';

/** Pull every virtual hour: six seconds here, which is also how long before its end a token of two hours is refreshed. */
const HOURLY = { pullEverySeconds: 3_600 } as const;

/** MULTIPLE: refreshed before the end, pulled again and again, compared with what is there. */
export function keepsMultipleFresh(stage: () => Stage): void {
  test('a MULTIPLE authorization is exchanged, gets exactly one repeating job, and is pulled at once', async () => {
    const { system, world } = stage();
    const link = await world.link({});
    const id = 'multiple-at-once';
    expect(await system.accept(requestOf(link, { id }))).toMatchObject({ state: 'pending', usage: 'MULTIPLE' });
    const view = await system.reaches(id, 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
    expect(view).toMatchObject({
      state: 'active',
      why: 'exchanged',
      usage: 'MULTIPLE',
      usageReason: 'as_requested',
      periodSeconds: 6 * 3_600,
      purgeDueAt: null,
      failedRuns: 0,
      lastError: null,
      freshness: { late: false },
    });
    const [left] = await until(
      'only the repeating job is left',
      () => system.jobsOf(id),
      // Its slot may come round just now: a period is 36 s here.
      (jobs) => jobs.length === 1 && jobs[0]?.state === 'delayed',
    );
    expect(left).toMatchObject({ queue: 'refresh-and-pull', state: 'delayed' });
    expect(await system.context.queue.isScheduled(id)).toBe(true);
    expect(await world.row(link.authorizationId)).toMatchObject({ exchanges: 1 });
    expect(Date.parse(view.lastPull?.at ?? '') - Date.parse(view.acceptedAt)).toBeLessThan(6 * HOUR_MS);
  });

  test('it is refreshed at every run before its token ends, and pulled again with it', async () => {
    const { system, world } = stage();
    const link = await world.link({ exchanged: true, knobs: { accessTokenMs: 2 * HOUR_MS } });
    const id = 'multiple-refreshed';
    await system.accept(requestOf(link, { id, cadence: HOURLY }));
    const instantsWithoutToken: number[] = [];
    await until(
      'two refreshes',
      async () => {
        const tokens = await system.context.store.tokens(id);
        if (tokens !== null && tokens.accessExpiresAt <= world.clock.now())
          instantsWithoutToken.push(world.clock.now());
        return world.row(link.authorizationId);
      },
      ({ refreshes }) => refreshes >= 2,
    );
    await system.pulledAgain(id);
    const row = await world.row(link.authorizationId);
    expect(row).toMatchObject({ alive: true, reusedRefreshTokens: 0, refusedRefreshTokens: 0 });
    expect(row.fhirRequests).toBeGreaterThanOrEqual(row.refreshes);
    expect(instantsWithoutToken).toEqual([]);
    const answers = world.seen.filter(({ authorizationId }) => authorizationId === link.authorizationId);
    expect(answers.filter(({ status }) => status !== null && status !== 200)).toEqual([]);
    expect(await system.status(id)).toMatchObject({ state: 'active', failedRuns: 0 });
    await system.purge(id);
  });

  test('what is stored is byte for byte what the source serves, and what changed is listed by kind', async () => {
    const { system, world } = stage();
    const link = await world.link({ size: 60 });
    const id = 'multiple-compared';
    await system.accept(requestOf(link, { id }));
    await system.reaches(id, 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
    const first = await world.records(link.patient);
    expect(await system.records(id)).toEqual(first);
    expect((await system.changes(id)).added).toHaveLength(first.length);

    const changed = await world.change(link.patient, { add: 3, edit: 2, remove: 2 });
    expect(await system.records(id), 'the comparison must see a difference').not.toEqual(
      await world.records(link.patient),
    );
    await system.pull(id);
    // Of a small type one resource is more than a fifth: what is gone is believed when a second pull misses it too.
    await system.pull(id);
    expect(await system.records(id)).toEqual(await world.records(link.patient));
    const listed = await system.changes(id);
    expect(new Set(listed.added.slice(first.length))).toEqual(new Set(changed.added));
    expect(new Set(listed.modified)).toEqual(new Set(changed.edited));
    expect(new Set(listed.removed)).toEqual(new Set(changed.removed));
  });

  test('a pull that finds nothing new stores nothing new and lists no change', async () => {
    const { system, world } = stage();
    const link = await world.link({});
    const id = 'multiple-unchanged';
    await system.accept(requestOf(link, { id }));
    await system.reaches(id, 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
    const listed = await system.changes(id);
    const manifests = await system.context.store.manifests(id);
    await system.pull(id);
    expect(await system.changes(id)).toEqual(listed);
    expect(await system.context.store.manifests(id)).toEqual(manifests);
  });
}
