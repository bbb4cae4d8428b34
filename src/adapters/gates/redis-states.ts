import type { Cluster, Redis } from 'ioredis';
import { z } from 'zod';
import { PerennialError } from '../../core/errors.ts';
import { FRESH_GATE, type GateState, keepForMs } from '../../core/gate.ts';
import { type Change, createRecent, type GateStates, type Recent } from './states.ts';

/** A connection to one Redis, to a Sentinel's master or to a Cluster; its commands fail soon where nobody answers. */
export type GateRedis = Pick<Redis | Cluster, 'status' | 'eval'>;

/** Sets a state that is still what was read, and gives back the newer one where it is not. */
const SET_IF_SAME = `
local now = redis.call('GET', KEYS[1]) or ''
if now ~= ARGV[1] then return now end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return false`;

/** Times that a change is applied anew because another worker was faster. Each time one of them gets through, so fifty workers at one gate stay below it. */
const TRIES_MAX = 100;

const partSchema = z.object({
  throttledUntil: z.number(),
  failures: z.number(),
  breaker: z
    .object({ since: z.number(), until: z.number(), waitMs: z.number(), probe: z.string().nullable() })
    .nullable(),
});
const stateSchema: z.ZodType<GateState> = z.object({
  holders: z.record(z.string(), z.object({ since: z.number(), until: z.number() })),
  tokens: partSchema,
  pages: partSchema,
  lineEnd: z.number(),
  serviceMs: z.number(),
});

/** What stood in Redis when it was last seen, and what that says. */
type Read = { readonly text: string; readonly state: GateState };

type Waiting = {
  readonly apply: (state: GateState) => GateState;
  readonly done: () => void;
  readonly fail: () => void;
};

/**
 * States in Redis, one key for each gate, so that a Cluster serves it too. The decisions are made here and not inside Redis: a state is set only where it is still the
 * one that was decided on. Changes of one gate that come while another is under way go together in one call. A change rejects with `queue_unreachable`.
 */
export function createRedisStates({
  redis,
  prefix,
  now,
}: {
  readonly redis: GateRedis;
  readonly prefix: string;
  readonly now: () => number;
}): GateStates {
  const lines = new Map<string, Waiting[]>();
  const read = createRecent<Read>();
  const serve = async (key: string): Promise<void> => {
    for (let batch = lines.get(key)?.splice(0) ?? []; batch.length > 0; batch = lines.get(key)?.splice(0) ?? []) {
      try {
        await together({ redis, prefix, now, key, batch, read });
        for (const { done } of batch) done();
      } catch {
        for (const { fail } of batch) fail();
      }
    }
    lines.delete(key);
  };
  return {
    change: <T>(key: string, change: Change<T>) => {
      const { promise, resolve, reject } = Promise.withResolvers<T>();
      let answer: (() => T) | null = null;
      const apply = (state: GateState): GateState => {
        const { state: next, value } = change(state);
        answer = () => value;
        return next;
      };
      const fail = () => reject(new PerennialError('queue_unreachable'));
      const waiting = { apply, done: () => (answer === null ? fail() : resolve(answer())), fail };
      const line = lines.get(key);
      if (line !== undefined) line.push(waiting);
      else {
        lines.set(key, [waiting]);
        void serve(key);
      }
      return promise;
    },
  };
}

async function together({
  redis,
  prefix,
  now,
  key,
  batch,
  read,
}: {
  readonly redis: GateRedis;
  readonly prefix: string;
  readonly now: () => number;
  readonly key: string;
  readonly batch: readonly Waiting[];
  readonly read: Recent<Read>;
}): Promise<void> {
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    if (redis.status !== 'ready') break;
    const { text, state: before } = read.get(key) ?? { text: undefined, state: FRESH_GATE };
    const after = batch.reduce((state, { apply }) => apply(state), before);
    // An answer from a well endpoint changes nothing of what was read a moment ago.
    if (text !== undefined && after === before) return;
    const next = JSON.stringify(after);
    const keepMs = Math.ceil(keepForMs({ state: after, now: now() }));
    const newer = await redis.eval(SET_IF_SAME, 1, `${prefix}:gate:{${key}}`, text ?? '', next, keepMs);
    read.set(key, newer === null ? { text: next, state: after } : readOf(String(newer)));
    if (newer === null) return;
  }
  throw new PerennialError('queue_unreachable');
}

/** A state that is not ours is none. */
function readOf(text: string): Read {
  if (text === '') return { text, state: FRESH_GATE };
  try {
    return { text, state: stateSchema.parse(JSON.parse(text)) };
  } catch {
    return { text, state: FRESH_GATE };
  }
}
