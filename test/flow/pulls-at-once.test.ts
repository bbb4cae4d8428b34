import { afterAll, beforeAll, expect, test } from 'vitest';
import { readEnvironment } from '../../src/config.ts';
import type { Source } from '../../src/core/ports/upstream.ts';
import { accept } from '../../src/flows/accept.ts';
import type { Context } from '../../src/flows/context.ts';
import { refreshAndPull } from '../../src/flows/refresh-and-pull.ts';
import { type Composition, compose } from '../../src/main/compose.ts';
import { newKey } from '../support/processes.ts';
import { QUIET_QUEUE } from '../support/quiet-queue.ts';
import { bestPlace, type Place } from '../support/system-places.ts';
import { requestOf, sourcesOf, startWorld, type World } from '../support/world.ts';

const { signal } = new AbortController();
const PULLS = 2;
const RUNS = 6;
/** The next turn of every run that may pull comes before the first has its page. */
const PAGE_TAKES_MS = 100;

let world: World;
let place: Place;
let house: Composition;

beforeAll(async () => {
  world = await startWorld();
  place = await bestPlace();
  const more = { SOURCES: sourcesOf(world), ENCRYPTION_KEYS: newKey(), WORKER_PULLS: String(PULLS) };
  house = await compose(readEnvironment({ ...place.settings, ...world.rate, ...more, LOG_LEVEL: 'silent' }));
});

afterAll(async () => {
  await house.close();
  await world.close();
  await place.close();
});

test('of many runs at once no more pull than WORKER_PULLS says, and all of them do', async () => {
  expect(await mostAtOnce('bounded', house.context)).toBe(PULLS);
});

test('control: without places of their own all pull at once', async () => {
  const pulls: Context['pulls'] = { within: (_, pull) => pull() };
  expect(await mostAtOnce('unbounded', { ...house.context, pulls })).toBeGreaterThan(PULLS);
});

/** How many asked for pages at the same moment, where so many run together. */
async function mostAtOnce(name: string, like: Context): Promise<number> {
  const pulling = new Set<string>();
  let most = 0;
  const watched = (source: Source): Source => ({
    ...source,
    streamPage: async (request) => {
      pulling.add(request.accessToken.reveal());
      most = Math.max(most, pulling.size);
      const page = await source.streamPage(request);
      await like.clock.sleep(PAGE_TAKES_MS);
      pulling.delete(request.accessToken.reveal());
      return page;
    },
  });
  const context = quiet(like, watched);
  const ids = Array.from({ length: RUNS }, (_, nth) => `${name}-${nth}`);
  for (const id of ids) {
    const link = await world.link({ exchanged: true });
    await accept({ context, request: requestOf(link, { id }), actor: 'test' });
  }
  await Promise.all(ids.map((authorizationId) => refreshAndPull({ context, authorizationId, askedFor: true, signal })));
  const rows = await Promise.all(ids.map((id) => context.store.get(id)));
  expect(rows.map((row) => row?.lastPull?.result)).toEqual(ids.map(() => 'complete'));
  return most;
}

/** The same with a queue that does nothing, and a source that is watched. */
function quiet(context: Context, watched: (source: Source) => Source): Context {
  const get: Context['sources']['get'] = (name) => {
    const source = context.sources.get(name);
    return source === undefined ? undefined : watched(source);
  };
  return {
    ...context,
    sources: { ...context.sources, get },
    queue: { ...context.queue, ...QUIET_QUEUE },
  };
}
