import { expect, test } from 'vitest';
import { requestOf } from '../../support/world.ts';
import type { Stage } from '../system.contract.ts';

const FAULTS = ['status-500', 'html', 'reset', 'cut'] as const;

/** A pull takes what it can get, says what it could not, and removes only what is known to be gone. */
export function pullsWhatCanBeHad(stage: () => Stage): void {
  test('pulled by search, page by page, the records are the same', async () => {
    const { system, world } = stage();
    const link = await world.link({ size: 40 });
    const id = 'by-search';
    await system.accept(requestOf(link, { id, source: 'searching' }));
    await system.reaches(id, 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
    expect(await system.records(id)).toEqual(await world.records(link.patient));
  });

  test('a resource type that the source refuses holds up no other, and removes nothing that is stored', async () => {
    const { system, world } = stage();
    const refusedType = 'ExplanationOfBenefit';
    const link = await world.link({
      size: 40,
      endpoint: 'meadowlark-health-plan',
      knobs: { refusedTypes: [refusedType] },
    });
    const id = 'type-refused';
    const isRefused = (line: string): boolean => line.includes(`"resourceType":"${refusedType}"`);
    await system.accept(requestOf(link, { id, source: 'searching' }));
    await system.reaches(id, 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
    const served = await world.records(link.patient);
    expect(served.filter(isRefused)).not.toEqual([]);
    expect(await system.records(id)).toEqual(served.filter((line) => !isRefused(line)));

    await world.turn(link.authorizationId, { refusedTypes: [] });
    await system.pull(id);
    expect(await system.records(id)).toEqual(served);

    await world.turn(link.authorizationId, { refusedTypes: [refusedType] });
    await system.pull(id);
    expect(await system.records(id)).toEqual(served);
    expect((await system.changes(id)).removed).toEqual([]);
  });

  test.each(FAULTS)(
    'a page that fails (%s) makes the pull partial and removes nothing; the next one completes',
    async (kind) => {
      const { system, world } = stage();
      const link = await world.link({ size: 40, knobs: { everythingPageSize: 10 } });
      const id = `page-fault-${kind}`;
      await system.accept(requestOf(link, { id }));
      await system.reaches(id, 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
      const changed = await world.change(link.patient, { add: 2, remove: 3 });
      const fault = { pageFaultOnRequest: 3, pageFaultRepeats: true, pageFaultKind: kind } as const;
      await world.turn(link.authorizationId, fault);
      const view = await system.pull(id, 'partial');
      expect(view).toMatchObject({ state: 'active' });
      expect(view.failedRuns).toBeGreaterThan(0);
      expect((await system.changes(id)).removed).toEqual([]);

      await world.turn(link.authorizationId, { pageFaultOnRequest: null });
      await system.reaches(id, 'complete', ({ lastPull }) => lastPull?.result === 'complete');
      await system.pull(id);
      expect(await system.records(id)).toEqual(await world.records(link.patient));
      expect(new Set((await system.changes(id)).removed)).toEqual(new Set(changed.removed));
      expect(await system.status(id)).toMatchObject({ failedRuns: 0, lastError: null });
    },
  );

  test('a next link to another origin is not followed, and gets no token', async () => {
    const { system, world } = stage();
    const knobs = { everythingPageSize: 10, nextLinkOrigin: world.url.replace('127.0.0.1', '127.0.0.2') } as const;
    const link = await world.link({ size: 40, knobs });
    const id = 'foreign-next';
    await system.accept(requestOf(link, { id }));
    const view = await system.reaches(id, 'partial', ({ lastPull }) => lastPull?.result === 'partial');
    expect(view.lastError).toBe('upstream_link_refused');
    const asked = world.seen.filter(({ authorizationId }) => authorizationId === link.authorizationId);
    expect(asked.filter(({ path }) => path.includes('_offset'))).toEqual([]);
    await system.purge(id);
  });
}
