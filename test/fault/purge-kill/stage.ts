import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runSweeper } from '../../../jobs/sweeper.ts';
import { readEnvironment } from '../../../src/config.ts';
import type { Context } from '../../../src/flows/context.ts';
import { compose } from '../../../src/main/compose.ts';
import type { Sql } from '../../support/databases.ts';
import { newKey } from '../../support/processes.ts';
import { productionPlace, type Services } from '../../support/system-places.ts';
import { sourcesOf, startWorld, type World } from '../../support/world.ts';
import { type Hands, keepHands } from '../kill/hands.ts';

const ENTRY = fileURLToPath(new URL('./worker.ts', import.meta.url));
const IDLE_HANDS = 4;

/** A source, Redis, two databases, worker processes to be killed, and one that survives: in this process, and all it does is sweep. */
export type PurgeStage = {
  readonly world: World;
  readonly context: Context;
  readonly sql: Sql;
  readonly hands: Hands;
  /** Lets the survivor see a due purge; until then it is left to the one that will die. */
  readonly release: (authorizationId: string) => void;
  readonly close: () => Promise<void>;
};

/** Everything on the real clock, since leases are what is waited for. */
export async function openPurgeStage({ postgres, redisUrl }: Services): Promise<PurgeStage> {
  if (postgres === null || redisUrl === null) throw new Error('a purge is killed on a real Redis and PostgreSQL');
  const world = await startWorld({ speed: 1 });
  const place = await productionPlace({ postgres, redisUrl });
  const { sql } = place;
  if (sql === null) throw new Error('no side door to the database');
  const settings = {
    ...place.settings,
    ...world.rate,
    ENCRYPTION_KEYS: newKey(),
    SOURCES: sourcesOf(world),
    LOG_LEVEL: 'silent',
  };
  const composition = await compose(readEnvironment(settings));
  const { context } = composition;
  const hands = keepHands({
    env: { ...settings, NODE_COMPILE_CACHE: join(place.dataDir, 'compiled') },
    idle: IDLE_HANDS,
    entry: ENTRY,
  });
  const stopping = new AbortController();
  const released = new Set<string>();
  const duePurges: Context['store']['duePurges'] = async (query) =>
    (await context.store.duePurges(query)).filter((id) => released.has(id));
  const survivor = { ...context, store: { ...context.store, duePurges } };
  const sweeping = runSweeper({ context: survivor, signal: stopping.signal, caughtUp: Promise.resolve() });
  let closing: Promise<void> | null = null;
  const closeAll = async (): Promise<void> => {
    await hands.close();
    stopping.abort();
    await sweeping;
    await composition.close();
    await world.close();
    await place.close();
  };
  return {
    world,
    context,
    sql,
    hands,
    release: (authorizationId) => void released.add(authorizationId),
    // Whoever asks second waits for the first closing.
    close: () => (closing ??= closeAll()),
  };
}
