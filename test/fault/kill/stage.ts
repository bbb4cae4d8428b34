import { hash } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { runSweeper } from '../../../jobs/sweeper.ts';
import { readEnvironment } from '../../../src/config.ts';
import type { Context } from '../../../src/flows/context.ts';
import { openTokens } from '../../../src/flows/token-vault.ts';
import { compose } from '../../../src/main/compose.ts';
import { newKey } from '../../support/processes.ts';
import { dropPrefix, randomPrefix } from '../../support/real-redis.ts';
import { postgresPlace, type Services } from '../../support/system-places.ts';
import { sourcesOf, startWorld, type World } from '../../support/world.ts';
import { type Hands, keepHands } from './hands.ts';
import type { Order } from './orders.ts';
import { watchAttempts } from './watch.ts';

/** The sandbox's own credentials, as `sourcesOf` has them. */
const BASIC = `Basic ${Buffer.from('pk_test_sandbox:sk_test_sandbox').toString('base64')}`;
const IDLE_HANDS = 4;

const booksSchema = z.object({
  refreshes: z.number(),
  reusedRefreshTokens: z.number(),
  refusedRefreshTokens: z.number(),
  refreshTokenSha256Prefix: z.string().nullable(),
});
/** The source's books on one authorization. */
export type Books = z.infer<typeof booksSchema>;

/** A source, a database, worker processes to be killed, and one worker that survives: in this process, and all it does is sweep. */
export type Stage = {
  readonly world: World;
  /** The survivor's, unwatched. */
  readonly context: Context;
  readonly hands: Hands;
  readonly tokenEndpoint: Order['tokenEndpoint'];
  /** When the survivor closed the attempt that was left open; on the wall clock. */
  readonly closedAt: (authorizationId: string) => number | null;
  readonly books: (link: { readonly authorizationId: string }) => Promise<Books>;
  /** Whether the stored refresh token is the one that the source would take. */
  readonly holdsLivingToken: (subject: Subject) => Promise<boolean>;
  readonly close: () => Promise<void>;
};

/** An authorization by our id, and by the source's. */
export type Subject = { readonly id: string; readonly link: { readonly authorizationId: string } };

/** Everything on the real clock, because a grace window of 30 s is what is tested. */
export async function openStage({ postgres, redisUrl }: Services): Promise<Stage> {
  if (postgres === null) throw new Error('several processes need a real PostgreSQL');
  const world = await startWorld({ speed: 1 });
  const main = await postgresPlace(postgres);
  const prefix = randomPrefix();
  const settings = {
    ...main.settings,
    ...world.rate,
    ...(redisUrl === null ? {} : { REDIS_URL: redisUrl }),
    QUEUE_PREFIX: prefix,
    ENCRYPTION_KEYS: newKey(),
    SOURCES: sourcesOf(world),
    LOG_LEVEL: 'silent',
  };
  const composition = await compose(readEnvironment(settings));
  const { context } = composition;
  const hands = keepHands({
    env: { ...settings, NODE_COMPILE_CACHE: join(main.dataDir, 'compiled') },
    idle: IDLE_HANDS,
  });
  const stopping = new AbortController();
  const watch = watchAttempts(context);
  const sweeping = runSweeper({ context: watch.context, signal: stopping.signal, caughtUp: Promise.resolve() });
  let closing: Promise<void> | null = null;
  const closeAll = async (): Promise<void> => {
    await hands.close();
    stopping.abort();
    await sweeping;
    await composition.close();
    await world.close();
    await main.close();
    if (redisUrl !== null) await dropPrefix(redisUrl, prefix);
  };
  const books = (link: { readonly authorizationId: string }) => booksOf({ world, ...link });
  return {
    world,
    context,
    hands,
    tokenEndpoint: { url: `${world.url}/link/token`, authorization: BASIC },
    closedAt: watch.closedAt,
    books,
    holdsLivingToken: async ({ id, link }) => {
      const living = (await books(link)).refreshTokenSha256Prefix;
      const row = await context.store.tokens(id);
      if (row === null || living === null) return false;
      const { refreshToken } = openTokens({ key: await context.vault.open(id), row });
      return refreshToken !== null && hash('sha256', refreshToken.reveal(), 'hex').startsWith(living);
    },
    // Whoever asks second waits for the first closing.
    close: () => (closing ??= closeAll()),
  };
}

async function booksOf({
  world,
  authorizationId,
}: {
  readonly world: World;
  readonly authorizationId: string;
}): Promise<Books> {
  const response = await fetch(`${world.url}/sandbox/stats?records=false&authorization=${authorizationId}`);
  const { authorizations } = z.object({ authorizations: z.tuple([booksSchema]) }).parse(await response.json());
  return authorizations[0];
}
