import { expect, test } from 'vitest';
import { until } from '../../support/system-until.ts';
import { HOUR_MS, type Link, requestOf, type World } from '../../support/world.ts';
import type { Stage } from '../system.contract.ts';

/** Twelve seconds here: time for the fetch on a busy machine, and soon over. */
const SHORT_MS = 2 * HOUR_MS;

/** ONE_TIME, asked for or fallen back to: one fetch, one purge at access-token expiry, and nothing of it left. */
export function fetchesOnceAndErases(stage: () => Stage): void {
  test('a ONE_TIME authorization gets one fetch job and one purge job, at access-token expiry and not before', async () => {
    const { system, world } = stage();
    const link = await world.link({ usage: 'ONE_TIME', knobs: { accessTokenMs: 10 * HOUR_MS } });
    const id = 'once-planned';
    await system.accept(requestOf(link, { id, usage: 'ONE_TIME' }));
    const view = await system.reaches(id, 'fetched', ({ lastPull }) => lastPull?.result === 'complete');
    expect(view).toMatchObject({ state: 'active', usage: 'ONE_TIME', usageReason: 'as_requested', nextRunAt: null });
    const tokens = await system.context.store.tokens(id);
    expect(Date.parse(view.purgeDueAt ?? '')).toBe(Math.floor(tokens?.accessExpiresAt ?? 0));
    const jobs = await until(
      'only the purge is left',
      () => system.jobsOf(id),
      (found) => found.length === 1,
    );
    expect(jobs).toMatchObject([{ queue: 'purge', state: 'delayed' }]);
    expect(await system.context.queue.isScheduled(id)).toBe(false);
    expect(await system.records(id)).toEqual(await world.records(link.patient));
  });

  test('it is fetched once and erased at its deadline: no read, no key, no row, no second life', async () => {
    const { system, world } = stage();
    const link = await world.link({ usage: 'ONE_TIME', knobs: { accessTokenMs: SHORT_MS } });
    const id = 'once-erased';
    const request = requestOf(link, { id, usage: 'ONE_TIME' });
    await system.accept(request);
    await system.reaches(id, 'fetched', ({ lastPull }) => lastPull?.result === 'complete');
    const view = await system.reaches(id, 'purged', ({ state }) => state === 'purged');
    expect(view.why).toBe('one_time_expired');
    expect(Date.parse(view.purgedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(view.purgeDueAt ?? ''));
    expect(fetchesOf(world, link)).toEqual([200]);
    await expectNothingLeft(stage(), id);
    expect(await system.service.receipt({ id, actor: 'auditor' })).toMatchObject({
      reason: 'one_time_expired',
      findings: { key: 'gone', queue: 'gone' },
    });
    await expect(system.service.accept({ request, actor: 'test' })).rejects.toMatchObject({
      code: 'authorization_purged',
    });
    const again = { ...request, publicToken: 'another' };
    await expect(system.service.accept({ request: again, actor: 'test' })).rejects.toMatchObject({
      code: 'authorization_purged',
    });
    await expectNothingLeft(stage(), id);
  });

  test('a fetch that fails is tried again until it is whole, and then never again', async () => {
    const { system, world } = stage();
    const knobs = {
      everythingPageSize: 8,
      pageFaultOnRequest: 2,
      pageFaultKind: 'reset',
      accessTokenMs: SHORT_MS,
    } as const;
    const link = await world.link({ usage: 'ONE_TIME', knobs });
    const id = 'once-retried';
    await system.accept(requestOf(link, { id, usage: 'ONE_TIME' }));
    await system.reaches(id, 'fetched', ({ lastPull }) => lastPull?.result === 'complete');
    expect(await system.records(id)).toEqual(await world.records(link.patient));
    expect(fetchesOf(world, link).filter((status) => status === null)).toHaveLength(1);
    await expect(system.service.pullNow({ id, actor: 'test' })).rejects.toMatchObject({
      code: 'authorization_not_active',
    });
    const before = fetchesOf(world, link).length;
    await system.reaches(id, 'purged', ({ state }) => state === 'purged');
    expect(fetchesOf(world, link)).toHaveLength(before);
  });

  test('MULTIPLE at an endpoint that cannot refresh becomes ONE_TIME after the exchange, and says why', async () => {
    const { system, world } = stage();
    const link = await world.link({ endpoint: 'old-harbor-insurance', knobs: { accessTokenMs: SHORT_MS } });
    const id = 'fallback-exchanged';
    await system.accept(requestOf(link, { id }));
    const view = await system.reaches(id, 'fetched', ({ lastPull }) => lastPull?.result === 'complete');
    expect(view).toMatchObject({
      usage: 'ONE_TIME',
      usageRequested: 'MULTIPLE',
      usageReason: 'endpoint_not_refreshable',
      periodSeconds: null,
    });
    expect(await system.context.queue.isScheduled(id)).toBe(false);
    const purged = await system.reaches(id, 'purged', ({ state }) => state === 'purged');
    expect(purged).toMatchObject({ usageRequested: 'MULTIPLE', usageReason: 'endpoint_not_refreshable' });
    expect(fetchesOf(world, link)).toEqual([200]);
    await expectNothingLeft(stage(), id);
  });

  test.each([
    ['no_refresh_token', {}],
    ['endpoint_not_refreshable', { refreshable: false }],
  ] as const)('MULTIPLE handed over without a refresh token becomes ONE_TIME (%s)', async (usageReason, told) => {
    const { system, world } = stage();
    const link = await world.link({ endpoint: 'pinecrest-family-practice', exchanged: true });
    const id = `fallback-${usageReason}`;
    const { endpoint } = requestOf(link, { id });
    const view = await system.accept(requestOf(link, { id, endpoint: { ...endpoint, ...told } }));
    expect(view).toMatchObject({ usage: 'ONE_TIME', usageRequested: 'MULTIPLE', usageReason, state: 'active' });
    expect(view.purgeDueAt).not.toBeNull();
    await system.reaches(id, 'fetched', ({ lastPull }) => lastPull?.result === 'complete');
  });

  test('ONE_TIME never keeps a refresh token, whether the caller hands it over or the exchange brings it', async () => {
    const { system, world } = stage();
    const handed = await world.link({ exchanged: true });
    const exchanged = await world.link({});
    const control = await world.link({ exchanged: true });
    const handedRequest = requestOf(handed, { id: 'once-handed', usage: 'ONE_TIME' });
    expect(handedRequest.refreshToken, 'the caller does hand one over').toBeDefined();
    await system.accept(handedRequest);
    await system.accept(requestOf(exchanged, { id: 'once-exchanged', usage: 'ONE_TIME' }));
    await system.accept(requestOf(control, { id: 'once-control' }));
    for (const id of ['once-handed', 'once-exchanged', 'once-control']) {
      await system.reaches(id, 'fetched', ({ lastPull }) => lastPull?.result === 'complete');
    }
    for (const id of ['once-handed', 'once-exchanged']) {
      const tokens = await system.tokens(id);
      expect(tokens.refreshToken).toBeNull();
      expect(tokens.accessToken).not.toBeNull();
      expect(await system.context.store.tokens(id)).toMatchObject({ hasRefreshToken: false });
      expect(await system.status(id)).toMatchObject({ usage: 'ONE_TIME', usageReason: 'as_requested' });
    }
    expect((await system.tokens('once-control')).refreshToken, 'MULTIPLE keeps its own').not.toBeNull();
    expect((await world.row(handed.authorizationId)).refreshes).toBe(0);
    expect((await world.row(exchanged.authorizationId)).refreshes).toBe(0);
  });
}

/** The answers to all `$everything` requests of a link, in their order; null where the source broke off. */
export function fetchesOf(world: World, link: Link): readonly (number | null)[] {
  return world.seen
    .filter(({ authorizationId, path }) => authorizationId === link.authorizationId && path.includes('$everything'))
    .map(({ status }) => status);
}

/** An erased authorization has no readable record, no key, no job, and no row but the one that says it is gone. */
export async function expectNothingLeft({ system }: Stage, id: string): Promise<void> {
  const { context, service, place } = system;
  const reader = { id, actor: 'test' };
  await expect(service.records(reader)).rejects.toMatchObject({ code: 'authorization_ended' });
  await expect(service.changes({ ...reader, after: 0, limit: 1 })).rejects.toMatchObject({
    code: 'authorization_ended',
  });
  expect(await context.vault.has(id)).toBe(false);
  expect(await context.store.tokens(id)).toBeNull();
  expect(await context.store.intent(id)).toBeNull();
  expect(await context.store.manifests(id)).toEqual([]);
  expect(await context.store.changes({ authorizationId: id, after: 0, limit: 1 })).toEqual([]);
  expect((await context.store.fingerprintsOf(id)).current).toBeNull();
  expect(await context.queue.isScheduled(id)).toBe(false);
  await until(
    `no job of ${id} is left`,
    () => system.jobsOf(id),
    (jobs) => jobs.length === 0,
  );
  if (place.sql === null) return;
  for (const table of ['tokens', 'intents', 'packs', 'manifests', 'changes']) {
    expect(await place.sql(`select 1 from perennial.${table} where authorization_id = $1`, [id])).toEqual([]);
  }
}
