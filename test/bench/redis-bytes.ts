import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { openQueueBackend } from '../../src/adapters/queue/backend.ts';
import { createWorkQueue } from '../../src/adapters/queue/work-queue.ts';
import { createClock } from '../../src/adapters/system/clock.ts';
import { UNITS } from '../../src/core/limits.ts';
import type { Log } from '../../src/core/ports/telemetry.ts';
import type { Figure } from './figure.ts';
import { startRedisServer } from './redis-server.ts';

/** What a repeating job is made of in Redis: its scheduler, the job that waits, and what is noted of the run before it. */

const GOAL_BYTES = 1_500;
const PERIOD_MS = 6 * UNITS.HOUR_MS;
/** Calls under way at once. */
const HANDS = 50;
const COMPOSE = new URL('../../docker-compose.yml', import.meta.url);
const composeSchema = z.object({ services: z.object({ redis: z.object({ command: z.array(z.string()) }) }) });
const quiet: Log = { info: () => {}, warn: () => {}, error: () => {} };

/** Bytes of Redis for each authorization, as Redis is set up by itself and as docker-compose.yml sets it up. */
export async function benchRedisBytes({ count }: { readonly count: number }): Promise<readonly Figure[]> {
  const tuned = await bytesEach({ count, settings: composeSettings() });
  const plain = await bytesEach({ count, settings: {} });
  const figure = (name: string, ours: number, goal: number | null): Figure => ({
    name: `Redis bytes of an authorization, ${name}, against ${GOAL_BYTES}`,
    ours,
    base: GOAL_BYTES,
    unit: 'bytes',
    ratio: GOAL_BYTES / ours,
    goal,
  });
  return [figure('as docker-compose.yml sets Redis up', tuned, 1), figure('Redis by its own defaults', plain, null)];
}

/** How docker-compose.yml has small hashes lie in memory. */
export function composeSettings(): Readonly<Record<string, string>> {
  const { services } = composeSchema.parse(parse(readFileSync(COMPOSE, 'utf8')));
  const lines = services.redis.command.join('\n').matchAll(/^\s*(hash-max-listpack-\w+) (\d+)$/gm);
  return Object.fromEntries([...lines].map(([, name = '', value = '']) => [name, value]));
}

/** Bytes of Redis for each of so many authorizations, under these settings; the first fifth brings what is there once. */
export async function bytesEach({
  count,
  settings,
}: {
  readonly count: number;
  readonly settings: Readonly<Record<string, string>>;
}): Promise<number> {
  await using open = new AsyncDisposableStack();
  const server = await startRedisServer({ settings });
  open.defer(server.close);
  const backend = await openQueueBackend({ place: { kind: 'redis', url: server.url }, prefix: 'perennial' });
  open.defer(backend.close);
  const clock = createClock({ epochMs: 0, speed: 1 });
  const queue = createWorkQueue({ backend, clock, log: quiet });
  open.defer(queue.close);
  await queue.ready();
  const [shard] = backend.layout.shards;
  if (shard === undefined) throw new Error('no shard');
  const one = async (at: number): Promise<void> => {
    const authorizationId = uuidOf(at);
    await queue.schedule({ authorizationId, periodMs: PERIOD_MS, phase: at / count });
    const jobId = `repeat:${authorizationId}:${clock.wallNow()}`;
    await backend.trail.note({ queue: 'refresh-and-pull', shard, jobId, authorizationId });
  };
  // What is there once, and the events up to their limit, are no part of it.
  await inHands({ from: 0, to: count / 5, one });
  const before = await server.usedBytes();
  await inHands({ from: count / 5, to: count, one });
  return ((await server.usedBytes()) - before) / (count - count / 5);
}

/** As long as the ids that services give. */
function uuidOf(at: number): string {
  return `00000000-0000-4000-8000-${String(at).padStart(12, '0')}`;
}

async function inHands({
  from,
  to,
  one,
}: {
  readonly from: number;
  readonly to: number;
  readonly one: (at: number) => Promise<void>;
}): Promise<void> {
  let next = from;
  const hand = async (): Promise<void> => {
    for (let at = next++; at < to; at = next++) await one(at);
  };
  await Promise.all(Array.from({ length: HANDS }, hand));
}
