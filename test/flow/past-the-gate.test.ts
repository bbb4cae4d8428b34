import { afterAll, beforeAll, expect, test } from 'vitest';
import { LIMITS } from '../../src/core/limits.ts';
import type { Gates } from '../../src/core/ports/gates.ts';
import { activate } from '../../src/flows/activate.ts';
import type { Context } from '../../src/flows/context.ts';
import { fetchOnce } from '../../src/flows/fetch-once.ts';
import { recover } from '../../src/flows/recover.ts';
import { intentOf } from '../contract/store/samples.ts';
import { type House, openHouse } from '../support/house.ts';
import { OPEN_GATES } from '../support/open-gates.ts';
import { bestPlace, type Place } from '../support/system-places.ts';
import { until } from '../support/system-until.ts';
import { requestOf, sourcesOf, startWorld, type World } from '../support/world.ts';

const { signal } = new AbortController();
let world: World;
let place: Place;
let house: House;

beforeAll(async () => {
  world = await startWorld();
  place = await bestPlace();
  house = await openHouse({ place, world, sources: sourcesOf(world) });
});

afterAll(async () => {
  await house.close();
  await world.close();
  await place.close();
});

/** The house before gates that let nobody in, and who asked them. */
function shut(): { readonly context: Context; readonly asked: Parameters<Gates['enter']>[0][] } {
  const asked: Parameters<Gates['enter']>[0][] = [];
  const enter: Gates['enter'] = async (entrant) => {
    asked.push(entrant);
    return { kind: 'closed', reason: 'breaker', retryAfterMs: 60_000 };
  };
  return { context: { ...house.context, gates: { ...OPEN_GATES, enter } }, asked };
}

async function accepted(id: string, exchanged: boolean): Promise<void> {
  const link = await world.link({ usage: 'ONE_TIME', exchanged });
  await house.service.accept({ request: requestOf(link, { id, usage: 'ONE_TIME' }), actor: 'test' });
}

test('a first exchange and a one fetch take their place in the line of a closed gate, and come before nobody', async () => {
  await accepted('waits-to-exchange', false);
  await accepted('waits-to-fetch', true);
  const { context, asked } = shut();
  const outcomes = [
    await activate({ context, authorizationId: 'waits-to-exchange', signal }),
    await fetchOnce({ context, authorizationId: 'waits-to-fetch', signal }),
  ];
  expect(outcomes).toMatchObject([{ reason: 'gate_closed' }, { reason: 'gate_closed' }]);
  expect(asked.map(({ isFirst }) => isFirst)).toEqual([false, false]);
});

test('an exchange that a crash has left open is offered again past a closed gate and beside another suspect', async () => {
  const id = 'left-open';
  await accepted(id, false);
  const { context, asked } = shut();
  const { store } = context;
  const owner = { owner: 'dead', leaseMs: 1 };
  const dead = await store.takeLease({ authorizationId: id, ...owner });
  if (dead === null) throw new Error('the lease is taken');
  const version = (await store.tokens(id))?.version ?? 0;
  const intent = intentOf(id, { kind: 'exchange', tokenVersion: version, startedAt: context.clock.now() });
  await store.openIntent({ authorizationId: id, fence: dead.fence, intent, lease: owner });
  const leave = context.suspects.enter(LIMITS.crashesMax - 1);
  const outcome = await until(
    'the lease is over',
    () => recover({ context, authorizationId: id, signal }),
    ({ kind }) => kind !== 'again',
  );
  leave?.();
  expect(outcome).toEqual({ kind: 'done', reason: 'exchanged' });
  expect(asked).toEqual([]);
});
