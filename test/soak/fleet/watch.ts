import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import type { World } from '../../support/world.ts';
import type { PostgresServer } from './postgres-server.ts';
import type { RedisServer } from './redis-server.ts';

const LOOK_EVERY_MS = 500;
/** Not whole for less than this is a schedule that is just being written. */
const SOON_MS = 2_000;

const rowSchema = z.object({
  id: z.string(),
  state: z.string(),
  usage: z.string(),
  purge_due_at: z.number().nullable(),
  phase: z.number().nullable(),
  period_ms: z.number().nullable(),
});
export type StoredRow = z.infer<typeof rowSchema>;

/** What was seen from outside while the fleet ran, on the wall (`performance.now`) and on the world's clock. */
export type Watched = {
  /** When an authorization was first seen purged, and how long after its deadline; both wall. */
  readonly purges: Map<string, { readonly seenAtMs: number; readonly lateMs: number }>;
  /** Spans in which repeating jobs were missing or too many. */
  readonly gaps: { readonly fromMs: number; readonly forMs: number }[];
};

/** Looks twice a second at the database and at Redis, each by its own door, until `signal` aborts. A server that is away is not looked at. */
export function watchFleet({
  world,
  postgres,
  redis,
  prefix,
  signal,
}: {
  readonly world: World;
  readonly postgres: PostgresServer;
  readonly redis: RedisServer;
  readonly prefix: string;
  readonly signal: AbortSignal;
}): { readonly watched: Watched; readonly done: Promise<void> } {
  let brokenSince: number | null = null;
  const watched: Watched = { purges: new Map(), gaps: [] };
  const look = async (): Promise<void> => {
    const rows = await storedRows(postgres);
    const now = world.clock.now();
    for (const { id, state, purge_due_at: dueAt } of rows) {
      if (state !== 'purged' || watched.purges.has(id)) continue;
      const lateMs = dueAt === null ? 0 : world.clock.toWallMs(now - dueAt);
      watched.purges.set(id, { seenAtMs: performance.now(), lateMs });
    }
    const { missing, extra } = differences({ rows, scheduled: await schedulersOf({ redis, prefix }) });
    const whole = missing.length + extra.length === 0;
    if (!whole) brokenSince ??= performance.now();
    else if (brokenSince !== null) {
      const forMs = performance.now() - brokenSince;
      if (forMs > SOON_MS) watched.gaps.push({ fromMs: brokenSince, forMs });
      brokenSince = null;
    }
  };
  const loop = async (): Promise<void> => {
    while (!signal.aborted) {
      await look().catch(() => undefined);
      await wait(LOOK_EVERY_MS);
    }
  };
  return { watched, done: loop() };
}

/** Every authorization as it is stored. */
export async function storedRows(postgres: PostgresServer): Promise<readonly StoredRow[]> {
  const columns = 'id, state, usage, purge_due_at, phase, period_ms';
  return z.array(rowSchema).parse(await postgres.sql('fleet', `select ${columns} from perennial.authorizations`));
}

/** The ids of all repeating jobs, one entry for each that there is. */
export function schedulersOf({
  redis,
  prefix,
}: {
  readonly redis: RedisServer;
  readonly prefix: string;
}): Promise<readonly string[]> {
  return redis.ask(async (connection) => {
    const ids: string[] = [];
    for await (const keys of connection.scanStream({ match: `*${prefix}*:repeat`, count: 500 })) {
      for (const key of new Set(z.array(z.string()).parse(keys))) ids.push(...(await connection.zrange(key, 0, '-1')));
    }
    return ids;
  });
}

/** What should repeat and does not, and what repeats and should not, or does so twice. */
export function differences({
  rows,
  scheduled,
}: {
  readonly rows: readonly StoredRow[];
  readonly scheduled: readonly string[];
}): { readonly missing: readonly string[]; readonly extra: readonly string[] } {
  const wanted = new Set(
    rows.filter(({ state, usage }) => state === 'active' && usage === 'MULTIPLE').map(({ id }) => id),
  );
  const there = new Set(scheduled);
  return {
    missing: [...wanted].filter((id) => !there.has(id)),
    extra: scheduled.filter((id, index) => !wanted.has(id) || scheduled.indexOf(id) !== index),
  };
}
