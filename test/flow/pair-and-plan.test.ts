import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readEnvironment } from '../../src/config.ts';
import type { Store } from '../../src/core/ports/store.ts';
import { accept } from '../../src/flows/accept.ts';
import type { Context } from '../../src/flows/context.ts';
import { withLease } from '../../src/flows/lease.ts';
import { refreshAndPull } from '../../src/flows/refresh-and-pull.ts';
import { type Composition, compose } from '../../src/main/compose.ts';
import { newKey } from '../support/processes.ts';
import { QUIET_QUEUE } from '../support/quiet-queue.ts';
import { bestPlace, type Place } from '../support/system-places.ts';
import { requestOf, sourcesOf, startWorld, type World } from '../support/world.ts';
import { nearlyOver } from './system/tokens.ts';

const { signal } = new AbortController();

let world: World;
let place: Place;
let house: Composition;

beforeAll(async () => {
  world = await startWorld();
  place = await bestPlace();
  const sources = { SOURCES: sourcesOf(world), ENCRYPTION_KEYS: newKey(), LOG_LEVEL: 'silent' };
  house = await compose(readEnvironment({ ...place.settings, ...world.rate, ...sources }));
});

afterAll(async () => {
  await house.close();
  await world.close();
  await place.close();
});

describe('a run that refreshes and has nothing to pull', () => {
  test('ends with its pair: the plan and the lease given back are in the same write', async () => {
    const id = await pulled('one-write');
    const written: string[] = [];
    const outcome = await run(id, quiet({ written }));
    expect(written).toEqual(['commitTokens: planned']);
    expect(outcome).toEqual({ kind: 'done', reason: 'not_due' });
    await expectPlanned(id);
  });

  test('whose plan was overtaken by a webhook keeps its pair, and plans for the news', async () => {
    const id = await pulled('overtaken');
    const { store, clock } = house.context;
    const written: string[] = [];
    const toldAt = clock.now();
    const commitTokens: Store['commitTokens'] = async (value) => {
      const told = { source: 'sandbox', id, refs: [], eventId: 'overtakes', at: toldAt, tells: 'news' as const };
      expect(await store.takeHook(told)).toEqual([id]);
      return store.commitTokens(value);
    };
    const outcome = await run(id, quiet({ written, commitTokens }));
    expect(written).toEqual(['commitTokens: committed', 'updateAsOf: changed', 'updateAsOf: committed']);
    expect(outcome).toMatchObject({ kind: 'again', asDue: true });
    expect((await store.tokens(id))?.version).toBe(2);
    expect(await store.get(id)).toMatchObject({ toldAt });
  });

  test('whose plan cannot be made keeps its pair', async () => {
    const id = await pulled('no-plan');
    const { queue, store } = house.context;
    const context = quiet();
    let asked = 0;
    const nextRunAt: typeof queue.nextRunAt = (value) => {
      asked += 1;
      if (asked === 2) throw new Error('no plan');
      return queue.nextRunAt(value);
    };
    const outcome = await run(id, { ...context, queue: { ...context.queue, nextRunAt } });
    expect(asked).toBeGreaterThan(2);
    expect(outcome).toMatchObject({ kind: 'done' });
    expect((await store.tokens(id))?.version).toBe(2);
    await expectPlanned(id);
  });

  test('and whose commit was answered by nobody offers it again, and is planned all the same', async () => {
    const id = await pulled('no-answer');
    const { store } = house.context;
    const written: string[] = [];
    const again: Store['commitTokens'] = async (value) => {
      await store.commitTokens(value);
      return store.commitTokens(value);
    };
    await run(id, quiet({ written, commitTokens: again }));
    expect(written).toEqual(['commitTokens: committed', 'updateAsOf: committed']);
    await expectPlanned(id);
  });
});

/** One whose records were pulled a moment ago, and whose access token ends within the lead. */
async function pulled(id: string): Promise<string> {
  const link = await world.link({ exchanged: true });
  const { store, clock } = house.context;
  await accept({ context: quiet(), request: { ...requestOf(link, { id }), ...nearlyOver(world) }, actor: 'test' });
  const at = clock.now();
  const lastPull = { at, result: 'complete', durationMs: 1 } as const;
  await withLease({ context: quiet(), authorizationId: id, signal }, ({ fence }) =>
    store.update({ ...fence, patch: { lastPull, freshAsOf: at, nextRunAt: null }, actor: 'test' }),
  );
  return id;
}

/** The same house with a queue that does nothing, which notes what its runs write. */
function quiet({
  written = [],
  commitTokens = house.context.store.commitTokens,
}: {
  readonly written?: string[];
  readonly commitTokens?: Store['commitTokens'];
} = {}): Context {
  const { context } = house;
  const noting =
    <V, R extends string>(name: string, write: (value: V) => Promise<R>) =>
    async (value: V): Promise<R> => {
      const result = await write(value);
      written.push(`${name}: ${result}`);
      return result;
    };
  const store: Store = {
    ...context.store,
    commitTokens: noting('commitTokens', commitTokens),
    updateAsOf: noting('updateAsOf', context.store.updateAsOf),
    update: noting('update', context.store.update),
  };
  return { ...context, store, queue: { ...context.queue, ...QUIET_QUEUE } };
}

function run(authorizationId: string, context: Context) {
  return refreshAndPull({ context, authorizationId, askedFor: false, signal });
}

async function expectPlanned(id: string): Promise<void> {
  const { store, clock } = house.context;
  expect((await store.tokens(id))?.version).toBe(2);
  const planned = await store.get(id);
  expect(planned?.nextRunAt).toBeGreaterThan(clock.now());
  expect(await store.intent(id)).toBeNull();
  // Free for whoever comes next, and no crash on anybody's account.
  const next = await store.takeLease({ authorizationId: id, owner: 'next', leaseMs: 1 });
  expect(next).toMatchObject({ crashes: 0 });
}
