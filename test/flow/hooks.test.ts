import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createWebServer, type WebServer } from '../../src/adapters/web/server.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { pullNow } from '../../src/flows/pull-now.ts';
import { refreshAndPull } from '../../src/flows/refresh-and-pull.ts';
import { createFakeService } from '../support/fake-service.ts';
import { type System, startSystem } from '../support/system.ts';
import { findServices, missingOf, type Place, productionPlace } from '../support/system-places.ts';
import { until } from '../support/system-until.ts';
import { createLogMemory, webOptions } from '../support/web.ts';
import { requestOf, startWorld, type World } from '../support/world.ts';

const { postgres, redisUrl } = await findServices();
/** From the change at the source to the end of the pull; a slot of the period comes every 36 s here. */
const AT_ONCE_MS = 1_000;
const BEFORE_ANY_SLOT_MS = 10 * AT_ONCE_MS;

if (postgres === null || redisUrl === null) {
  describe.skip(`webhooks on Redis and Postgres ${missingOf({ postgres, redisUrl })}`, () => {
    test('all of them', () => undefined);
  });
} else {
  describe('webhooks on Redis and Postgres', () => tellsOfNews(() => productionPlace({ postgres, redisUrl })));
}

function tellsOfNews(open: () => Promise<Place>): void {
  let stage: { readonly world: World; readonly system: System; readonly place: Place; readonly web: WebServer } | null =
    null;
  const use = () => {
    if (stage === null) throw new Error('the system did not start');
    return stage;
  };

  beforeAll(async () => {
    const world = await startWorld();
    const place = await open();
    const system = await startSystem({ place, world });
    const options = webOptions({ service: createFakeService(), log: createLogMemory().log });
    const web = await createWebServer({ ...options, service: system.service });
    stage = { world, place, system, web };
  });
  afterAll(async () => {
    await stage?.web.close();
    await stage?.system.stop();
    await stage?.world.close();
    await stage?.place.close();
  });

  /** Accepted, pulled, and with nothing left to do until its next slot. */
  const settled = async (id: string) => {
    const { world, system } = use();
    const link = await world.link({ exchanged: true });
    await system.accept(requestOf(link, { id, source: 'telling' }));
    await system.reaches(id, 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
    await until(
      'it rests',
      () => system.jobsOf(id),
      (jobs) => jobs.every(({ state }) => state === 'delayed'),
    );
    return link;
  };

  test('a change that the source tells of is here within a second', async () => {
    const { world, system, web } = use();
    const id = 'told-at-once';
    const link = await settled(id);
    await world.tell(`${web.url}/v1/hooks/telling`);
    const took: number[] = [];
    // The quickest of a few: on a machine that is busy with other tests each alone says little.
    for (let times = 0; times < 4; times += 1) {
      const since = performance.now();
      const { added } = await world.change(link.patient, { add: 2 });
      const isHere = (changes: { readonly added: readonly string[] }) =>
        added.every((one) => changes.added.includes(one));
      await until('the change is here', () => system.changes(id), isHere, { everyMs: 20 });
      took.push(performance.now() - since);
    }
    expect(Math.min(...took)).toBeLessThan(AT_ONCE_MS);
  });

  test('changes that come while a pull runs are pulled after it', async () => {
    const { world, system, web } = use();
    const id = 'told-in-mid-pull';
    const link = await settled(id);
    await world.tell(`${web.url}/v1/hooks/telling`);
    const added = await Promise.all(
      Array.from({ length: 8 }, async () => (await world.change(link.patient, { add: 1 })).added),
    );
    await until(
      'all changes are here',
      () => system.changes(id),
      (changes) => added.flat().every((one) => changes.added.includes(one)),
      { capMs: BEFORE_ANY_SLOT_MS },
    );
  });

  test('news that come in mid-pull are the next plan of that very run, and wait for no slot', async () => {
    const { system } = use();
    const id = 'told-while-it-pulls';
    await settled(id);
    const { store, clock } = system.context;
    const ref = (await store.get(id))?.upstreamRef ?? 'none';
    let told = false;
    const commitRecords: typeof store.commitRecords = async (value) => {
      const news = { source: 'telling', eventId: id, id: null, refs: [ref], at: clock.now(), tells: 'news' as const };
      if (!told) expect(await store.takeHook(news)).toEqual([id]);
      told = true;
      return store.commitRecords(value);
    };
    const outcome = await refreshAndPull({
      context: { ...system.context, store: { ...store, commitRecords } },
      authorizationId: id,
      askedFor: true,
      signal: new AbortController().signal,
    });
    expect(told).toBe(true);
    expect(outcome).toMatchObject({
      kind: 'again',
      asDue: true,
      afterWallMs: expect.closeTo(LIMITS.retryMinWallMs, -2),
    });
  });

  test('a pull that a person asks for while a job of the same authorization runs comes behind that', async () => {
    const { world, system } = use();
    const id = 'asked-while-it-pulls';
    const link = await settled(id);
    for (let times = 0; times < 6; times += 1) {
      const before = world.seen.length;
      await system.service.pullNow({ id, actor: 'test' });
      const ours = () => world.seen.slice(before).filter((one) => one.authorizationId === link.authorizationId);
      await until('a run asks its source', ours, (seen) => seen.length > 0, { everyMs: 1 });
      const askedAt = world.clock.now();
      await system.service.pullNow({ id, actor: 'test' });
      const began = ({ lastPull }: { readonly lastPull: { readonly at: string } | null }) =>
        Date.parse(lastPull?.at ?? '') >= askedAt - 1;
      await system.reaches(id, 'pulled once more', began, BEFORE_ANY_SLOT_MS);
    }
  });

  test('a pull that a person asks for while a job ends that has planned already is added behind it', async () => {
    const { system } = use();
    const id = 'asked-while-it-ends';
    await settled(id);
    const { store, queue } = system.context;
    const authorization = await store.get(id);
    if (authorization === null) throw new Error('it is gone');
    let adds = 0;
    const add: typeof queue.add = async (job) => {
      adds += 1;
      return adds < 3 ? 'runs' : queue.add(job);
    };
    await pullNow({ context: { ...system.context, queue: { ...queue, add } }, authorization, actor: 'test' });
    expect(adds).toBe(3);
  });

  test('a pull that stands in the store only, since another ran when it was asked for, reads everything, and once', async () => {
    const { world, system } = use();
    const id = 'asked-and-only-noted';
    const link = await settled(id);
    const { store, clock, log } = system.context;
    const plans: unknown[] = [];
    const info: typeof log.info = (event, fields) => {
      if (event === 'pull_begun') plans.push(fields?.['reason']);
      log.info(event, fields);
    };
    const run = () =>
      refreshAndPull({
        context: { ...system.context, log: { ...log, info } },
        authorizationId: id,
        askedFor: false,
        signal: new AbortController().signal,
      });
    await store.askForPull({ authorizationId: id, at: clock.now() });
    await run();
    expect(plans).toEqual(['asked_for']);
    const ref = (await store.get(id))?.upstreamRef ?? 'none';
    await store.takeHook({ source: 'telling', eventId: id, id: null, refs: [ref], at: clock.now(), tells: 'news' });
    await run();
    expect(plans.slice(1)).not.toContain('asked_for');
    expect(plans).toHaveLength(2);
    expect(await world.row(link.authorizationId)).toMatchObject({ alive: true });
  });

  test('a doubt that stands in the store only, since a job ran when it came, has the refresh token offered, and once', async () => {
    const { system } = use();
    const id = 'doubted-and-only-noted';
    await settled(id);
    const { context } = system;
    const { store, clock } = context;
    const ref = (await store.get(id))?.upstreamRef ?? 'none';
    const { signal } = new AbortController();
    const versionAfter = async (tells: 'news' | 'doubt') => {
      const hook = {
        source: 'telling',
        eventId: `${id}-${clock.now()}`,
        id: null,
        refs: [ref],
        at: clock.now(),
        tells,
      };
      expect(await store.takeHook(hook)).toEqual([id]);
      await refreshAndPull({ context, authorizationId: id, askedFor: false, signal });
      return (await store.tokens(id))?.version ?? 0;
    };
    const before = await versionAfter('news');
    expect(await versionAfter('doubt')).toBe(before + 1);
    expect(await versionAfter('news')).toBe(before + 1);
    expect(await store.get(id)).toMatchObject({ state: 'active' });
  });

  test('a doubt that comes between the token and the pull is the next plan of that very run', async () => {
    const { system } = use();
    const id = 'doubted-before-the-pull';
    await settled(id);
    const { context } = system;
    const { store, clock, pulls } = context;
    const ref = (await store.get(id))?.upstreamRef ?? 'none';
    const hook = (tells: 'news' | 'doubt') =>
      store.takeHook({ source: 'telling', eventId: `${id}-${tells}`, id: null, refs: [ref], at: clock.now(), tells });
    expect(await hook('news')).toEqual([id]);
    const before = (await store.tokens(id))?.version ?? Number.NaN;
    const within: typeof pulls.within = async (signal, pull) => {
      await hook('doubt');
      return pulls.within(signal, pull);
    };
    const run = (own: typeof context) =>
      refreshAndPull({ context: own, authorizationId: id, askedFor: false, signal: new AbortController().signal });
    const again = { kind: 'again', asDue: true, afterWallMs: expect.closeTo(LIMITS.retryMinWallMs, -2) };
    expect(await run({ ...context, pulls: { ...pulls, within } })).toMatchObject(again);
    expect((await store.tokens(id))?.version).toBe(before);
    await run(context);
    expect((await store.tokens(id))?.version).toBe(before + 1);
  });

  test('a grant that the source says is over is looked at, and the source’s own answer ends it', async () => {
    const { world, system, web } = use();
    const id = 'told-it-is-over';
    const link = await settled(id);
    await world.tell(`${web.url}/v1/hooks/telling`);
    const since = performance.now();
    await world.revoke(link.authorizationId);
    await system.reaches(id, 'ended', ({ state }) => state === 'needs_reauthorization');
    expect(performance.now() - since).toBeLessThan(5 * AT_ONCE_MS);
    expect(await system.status(id)).toMatchObject({ why: 'revoked' });
  });

  test('control: where the source tells nobody, its change waits for the period', async () => {
    const { world, system } = use();
    const id = 'told-nobody';
    const link = await settled(id);
    await world.tell(null);
    const before = (await system.status(id)).nextRunAt;
    const { added } = await world.change(link.patient, { add: 1 });
    const askedUntil = performance.now() + 2 * AT_ONCE_MS;
    await until(
      'two seconds',
      async () => performance.now(),
      (now) => now > askedUntil,
    );
    const { nextRunAt } = await system.status(id);
    // Only a slot that came by chance may have brought it.
    if (nextRunAt === before) expect((await system.changes(id)).added).not.toEqual(expect.arrayContaining(added));
  });
}
