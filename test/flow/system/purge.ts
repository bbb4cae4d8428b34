import { expect, test } from 'vitest';
import { until } from '../../support/system-until.ts';
import { MINUTE_MS, requestOf } from '../../support/world.ts';
import type { Stage } from '../system.contract.ts';
import { expectNothingLeft } from './one-time.ts';

/** Ten seconds of wall time a page: a pull that is surely still running. */
const SLOW_PAGE_MS = 100 * MINUTE_MS;

/** A purge that somebody asked for: at once, upstream too, and before everything else. */
export function erasesWhenAsked(stage: () => Stage): void {
  test('a requested purge refuses reads at once, revokes at the source, and leaves a receipt and nothing else', async () => {
    const { system, world } = stage();
    const link = await world.link({});
    const id = 'purge-requested';
    await system.accept(requestOf(link, { id }));
    await system.reaches(id, 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
    const asked = await system.purge(id);
    expect(['purging', 'purged']).toContain(asked.state);
    await expect(system.service.records({ id, actor: 'test' })).rejects.toMatchObject({ code: 'authorization_ended' });
    await expect(system.service.pullNow({ id, actor: 'test' })).rejects.toMatchObject({
      code: 'authorization_not_active',
    });
    const view = await system.reaches(id, 'purged', ({ state }) => state === 'purged');
    expect(view).toMatchObject({ why: 'requested', nextRunAt: null });
    expect(await world.row(link.authorizationId)).toMatchObject({
      revocations: 1,
      alive: false,
      requestsAfterRevoke: 0,
    });
    const receipt = await system.service.receipt({ id, actor: 'auditor' });
    expect(receipt).toMatchObject({
      reason: 'requested',
      findings: { key: 'gone', queue: 'gone' },
      deleted: { tokens: 1 },
    });
    expect(receipt.deleted.packs).toBeGreaterThan(0);
    await expectNothingLeft(stage(), id);
    expect((await system.purge(id)).state, 'asking again changes nothing').toBe('purged');
  });

  test('a purge during a running pull wins: what the pull still brings is written nowhere', async () => {
    const { system, world } = stage();
    const link = await world.link({ knobs: { slowFhirMs: 5 * MINUTE_MS, everythingPageSize: 3 } });
    const id = 'purge-in-mid-pull';
    const ours = () => world.seen.filter((one) => one.authorizationId === link.authorizationId);
    await system.accept(requestOf(link, { id }));
    await until('the first page is asked for', ours, (seen) => seen.length >= 1);
    await world.turn(link.authorizationId, { slowFhirMs: SLOW_PAGE_MS });
    const turnedAt = performance.now();
    await until('a slow page is asked for', ours, (seen) => seen.some(({ startedAt }) => startedAt > turnedAt));
    const askedAt = performance.now();
    await system.purge(id);
    await system.reaches(id, 'purged', ({ state }) => state === 'purged');
    await expectNothingLeft(stage(), id);
    expect(
      ours().every(({ endedAt }) => endedAt !== null),
      'no receipt before the pull has ended',
    ).toBe(true);
    expect(
      ours().some(({ endedAt }) => (endedAt ?? 0) > askedAt),
      'the pull was still running',
    ).toBe(true);
    await expectNothingLeft(stage(), id);
    expect(await system.status(id)).toMatchObject({ state: 'purged', nextRunAt: null });
  });

  test('a purge of what is still pending spends no public token', async () => {
    const { system, world } = stage();
    const link = await world.link({ knobs: { tokenOutage: '503' } });
    const id = 'purge-pending';
    await system.accept(requestOf(link, { id }));
    await system.reaches(id, 'failed', ({ failedRuns }) => failedRuns > 0);
    await system.purge(id);
    await system.reaches(id, 'purged', ({ state }) => state === 'purged');
    await expectNothingLeft(stage(), id);
    expect(await world.row(link.authorizationId)).toMatchObject({ exchanges: 0, fhirRequests: 0 });
  });
}
