import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { UNITS } from '../../src/core/limits.ts';
import type { Store } from '../../src/core/ports/store.ts';
import type { Context } from '../../src/flows/context.ts';
import { createTokenDesk } from '../../src/flows/give-token.ts';
import { refreshAndPull } from '../../src/flows/refresh-and-pull.ts';
import { API_KEY, killLeftovers, newKey, type Served, serve, settingsOf } from '../support/processes.ts';
import { type System, startSystem } from '../support/system.ts';
import { bestPlace, type Place } from '../support/system-places.ts';
import { until } from '../support/system-until.ts';
import { requestOf, startWorld, type World } from '../support/world.ts';

const SOAK = process.env['PERENNIAL_SOAK'] === '1';
const CRASHES = 3;
/** Two virtual minutes are four seconds. */
const GENTLE_SPEED = 30;
/** A killed worker's job waits for BullMQ's lock of 30 s, and for the look that finds it. */
const RUNS_AGAIN_WITHIN_MS = 90_000;
const KEYS = `test:enqueue+read+pull+purge+records+token+operate=${API_KEY}`;

let world: World;
let place: Place;
let system: System;

beforeAll(async () => {
  world = await startWorld();
  place = await bestPlace();
  system = await startSystem({ place, world });
});

afterAll(async () => {
  await killLeftovers();
  await system.stop();
  await world.close();
  await place.close();
});

describe('an authorization whose workers die', () => {
  test('is quarantined after three in a row, shown, released by an operator, and then pulled', async () => {
    const { id, house } = await opened('poison');
    await dies({ store: house.context.store, id, times: CRASHES });
    await house.service.pullNow({ id, actor: 'test' });
    const aside = await house.reaches(id, 'quarantined', ({ state }) => state === 'quarantined');
    expect(aside).toMatchObject({ why: 'crashes_its_worker', nextRunAt: null });
    expect(await house.context.queue.isScheduled(id)).toBe(false);
    expect((await house.service.list({ after: null, limit: 10, state: 'quarantined' })).map((one) => one.id)).toEqual([
      id,
    ]);
    await expect(house.service.pullNow({ id, actor: 'test' })).rejects.toMatchObject({
      code: 'authorization_not_active',
    });

    const releasedAt = world.clock.now();
    const back = await house.service.release({ id, actor: 'service:operator' });
    expect(back).toMatchObject({ state: 'active', why: 'released_by_operator' });
    await house.reaches(id, 'pulled again', ({ lastPull }) => Date.parse(lastPull?.at ?? '') >= releasedAt - 1);
    expect(await house.context.queue.isScheduled(id)).toBe(true);
    await expect(house.service.release({ id, actor: 'test' })).rejects.toMatchObject({ code: 'not_quarantined' });
    const events = await house.service.events({ after: 0, limit: 100 });
    expect(events.filter((event) => event.authorizationId === id).map(({ kind }) => kind)).toEqual([
      'quarantined',
      'released',
    ]);
    const moves = (await house.context.store.auditOf(id)).filter(({ action }) => action.startsWith('state:'));
    expect(moves.map(({ action, actor }) => [action, actor])).toEqual([
      ['state:quarantined', 'worker'],
      ['state:active', 'service:operator'],
    ]);
  });

  test('is not quarantined for two, however often: one good run ends the count', async () => {
    const { id, house } = await opened('unlucky');
    for (let round = 0; round < 2; round += 1) {
      await dies({ store: house.context.store, id, times: CRASHES - 1 });
      expect((await house.pull(id)).state).toBe('active');
    }
  });

  test('comes back by a new consent too, with no crash of the old one on its account', async () => {
    const { id, house } = await opened('consented-anew');
    await dies({ store: house.context.store, id, times: CRASHES });
    await house.service.pullNow({ id, actor: 'test' });
    await house.reaches(id, 'quarantined', ({ state }) => state === 'quarantined');
    const consentedAt = world.clock.now();
    await house.accept(requestOf(await world.link({ exchanged: true }), { id, reauthorizes: true }));
    await house.service.pullNow({ id, actor: 'test' });
    await house.reaches(id, 'pulled again', ({ lastPull }) => Date.parse(lastPull?.at ?? '') >= consentedAt - 1);
    expect(await house.status(id)).toMatchObject({ state: 'active' });
  });

  test('is purged in time while it is quarantined', async () => {
    const { id, house } = await opened('purged');
    await dies({ store: house.context.store, id, times: CRASHES });
    await house.service.pullNow({ id, actor: 'test' });
    await house.reaches(id, 'quarantined', ({ state }) => state === 'quarantined');
    await house.purge(id);
    await house.reaches(id, 'purged', ({ state }) => state === 'purged');
  });

  test('is found out although what its death left is tidied meanwhile: a sweep and a token that is asked for end no count', async () => {
    const { id, house } = await opened('tidied');
    const desk = createTokenDesk(withoutValidTokens(house.context));
    for (let death = 0; death < CRASHES; death += 1) {
      await dies({ store: house.context.store, id, times: 1 });
      const take = () => house.context.store.takeLease({ authorizationId: id, owner: 'sweep', leaseMs: 60_000 });
      const taken = await until('the lease', take, (held) => held !== null);
      expect(taken?.crashes).toBe(death + 1);
      if (taken !== null) await house.context.store.releaseLease({ ...taken, owner: 'sweep' });
      if (death < CRASHES - 1) await desk.hand({ authorizationId: id, actor: 'test' });
    }
    await house.service.pullNow({ id, actor: 'test' });
    await house.reaches(id, 'quarantined', ({ state }) => state === 'quarantined');
  });

  test('waits while one of its process runs that the next death sets aside, and its count waits with it', async () => {
    const { id, house } = await opened('waiting');
    await dies({ store: house.context.store, id, times: 1 });
    const leave = house.context.suspects.enter(CRASHES - 1);
    const run = () =>
      refreshAndPull({
        context: house.context,
        authorizationId: id,
        askedFor: true,
        signal: new AbortController().signal,
      });
    expect(await run()).toMatchObject({ kind: 'again', reason: 'suspect_waits' });
    const taken = await house.context.store.takeLease({ authorizationId: id, owner: 'look', leaseMs: 60_000 });
    expect(taken?.crashes).toBe(1);
    if (taken !== null) await house.context.store.releaseLease({ ...taken, owner: 'look' });
    leave?.();
    expect(await run()).toEqual({ kind: 'done', reason: 'pulled' });
  });

  test('runs beside another suspect after a first death, and after a second only while no other does', async () => {
    const { id: once, house } = await opened('died-once');
    const twice = (await opened('died-twice')).id;
    await dies({ store: house.context.store, id: once, times: 1 });
    await dies({ store: house.context.store, id: twice, times: CRASHES - 1 });
    const leave = house.context.suspects.enter(1);
    const run = (authorizationId: string) =>
      refreshAndPull({
        context: house.context,
        authorizationId,
        askedFor: true,
        signal: new AbortController().signal,
      });
    expect(await run(twice)).toMatchObject({ kind: 'again', reason: 'suspect_waits' });
    expect(await run(once)).toEqual({ kind: 'done', reason: 'pulled' });
    leave?.();
    expect(await run(twice)).toEqual({ kind: 'done', reason: 'pulled' });
  });

  test('control: where nobody counts, it takes its next worker too', async () => {
    const { id, house } = await opened('forgotten');
    await dies({ store: house.context.store, id, times: 10 * CRASHES });
    const outcome = await refreshAndPull({
      context: forgetful(house.context),
      authorizationId: id,
      askedFor: true,
      signal: new AbortController().signal,
    });
    expect(outcome).toEqual({ kind: 'done', reason: 'pulled' });
    expect((await house.status(id)).state).toBe('active');
  });

  (SOAK ? test : test.skip)(
    `kills three processes and no fourth, and takes nobody with it${SOAK ? '' : ' (PERENNIAL_SOAK=1)'}`,
    async () => {
      const gentle = await startWorld({ speed: GENTLE_SPEED });
      const own = await bestPlace();
      const env = settingsOf({ place: own, world: gentle, encryptionKeys: newKey(), more: { API_KEYS: KEYS } });
      const poison = await gentle.link({ exchanged: true, knobs: { slowFhirMs: 60_000 } });
      const innocent = await gentle.link({ exchanged: true });
      const pagesOfPoison = () =>
        gentle.seen.filter(({ path, authorizationId }) => {
          return path.startsWith('/fhir') && authorizationId === poison.authorizationId;
        }).length;
      let served: Served = await serve({ command: 'start', env });
      await served.api.enqueue(requestOf(poison, { id: 'poison' }));
      await served.api.enqueue(requestOf(innocent, { id: 'innocent' }));
      for (let crash = 0; crash < CRASHES; crash += 1) {
        await until('the poison is at work', pagesOfPoison, (pages) => pages > crash, { capMs: RUNS_AGAIN_WITHIN_MS });
        served.signal('SIGKILL');
        await served.exit;
        served = await serve({ command: 'start', env });
      }
      await served.reaches('poison', 'quarantined', ({ state }) => state === 'quarantined', RUNS_AGAIN_WITHIN_MS);
      expect(pagesOfPoison()).toBe(CRASHES);
      expect((await served.api.status('innocent')).state).toBe('active');
      await gentle.turn(poison.authorizationId, { slowFhirMs: 0 });
      expect((await served.api.release('poison')).state).toBe('active');
      await served.reaches('poison', 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
      served.signal('SIGTERM');
      await served.exit;
      await gentle.close();
      await own.close();
    },
    CRASHES * RUNS_AGAIN_WITHIN_MS,
  );
});

/** An id of its own for each try. Its token lasts for a day, or its own run of every 50 virtual minutes, five seconds, would come between. */
async function opened(name: string): Promise<{ readonly id: string; readonly house: System }> {
  const id = `${name}-${randomUUID()}`;
  const link = await world.link({ exchanged: true, knobs: { accessTokenMs: UNITS.DAY_MS } });
  await system.accept(requestOf(link, { id }));
  await system.reaches(id, 'pulled', ({ lastPull }) => lastPull?.result === 'complete');
  return { id, house: system };
}

/** What a worker leaves that died with the lease: nobody ever gives it back. */
async function dies({
  store,
  id: authorizationId,
  times,
}: {
  readonly store: Store;
  readonly id: string;
  readonly times: number;
}): Promise<void> {
  for (let death = 0; death < times; death += 1) {
    const take = () => store.takeLease({ authorizationId, owner: `dead-${death}`, leaseMs: 1 });
    await until('the lease', take, (taken) => taken !== null);
  }
}

/** Each token that is asked for is refreshed first. */
function withoutValidTokens(context: Context): Context {
  const tokens: Store['tokens'] = async (id) => {
    const row = await context.store.tokens(id);
    return row === null ? null : { ...row, accessExpiresAt: context.clock.now() };
  };
  return { ...context, store: { ...context.store, tokens } };
}

function forgetful(context: Context): Context {
  const takeLease: Store['takeLease'] = async (wanted) => {
    const taken = await context.store.takeLease(wanted);
    return taken === null ? null : { ...taken, crashes: 0 };
  };
  return { ...context, store: { ...context.store, takeLease } };
}
