import type { Cluster, Redis } from 'ioredis';
import { z } from 'zod';
import { PerennialError } from '../../core/errors.ts';
import { FRESH_GATE, type GateState, keepForMs } from '../../core/gate.ts';
import { type Change, createRecent, type GateStates, type Recent } from './states.ts';

/** A connection to one Redis, to a Sentinel's master or to a Cluster; its commands fail soon where nobody answers. */
export type GateRedis = Pick<Redis | Cluster, 'status' | 'eval' | 'isCluster'>;

/** Sets each state that is still what was read; where one is not, answers the newer one. */
const SET_IF_SAME = `
local answers = {}
for place, key in ipairs(KEYS) do
  local now = redis.call('GET', key) or ''
  answers[place] = now
  if now == ARGV[3 * place - 2] then
    redis.call('SET', key, ARGV[3 * place - 1], 'PX', ARGV[3 * place])
    answers[place] = false
  end
end
return answers`;
const answersSchema = z.array(z.string().nullable());

/** Gates in one call: Redis serves nobody else for about 20 microseconds each. */
const GATES_TOGETHER_MAX = 64;
/** Times that a change is applied anew because another worker was faster. Each time one of them gets through, so fifty workers at one gate stay below it. */
const TRIES_MAX = 100;

const partSchema = z.object({
  throttledUntil: z.number(),
  failures: z.number(),
  breaker: z
    .object({ since: z.number(), until: z.number(), waitMs: z.number(), probe: z.string().nullable() })
    .nullable(),
});
const holdersSchema = z.record(z.string(), z.object({ since: z.number(), until: z.number() }));
const stateSchema: z.ZodType<GateState> = z.object({
  holders: holdersSchema.transform((holders) => new Map(Object.entries(holders))),
  tokens: partSchema,
  pages: partSchema,
  lineEnd: z.number(),
  serviceMs: z.number(),
});

/** What stood in Redis when it was last seen, and what that says. */
type Read = { readonly text: string; readonly state: GateState };

type Waiting = {
  readonly key: string;
  readonly apply: (state: GateState) => GateState;
  readonly done: () => void;
  readonly fail: () => void;
};
type Place = {
  readonly redis: GateRedis;
  readonly prefix: string;
  readonly now: () => number;
  readonly read: Recent<Read>;
};

/**
 * States in Redis, one key for each gate, so that a Cluster serves it too. The decisions are made here and not inside Redis: a state is set only where it is still the
 * one that was decided on. Changes that come while others are under way go together in one call; in a Cluster, where no call may touch two slots, those of one gate do.
 * A change rejects with `queue_unreachable`.
 */
export function createRedisStates({ redis, prefix, now }: Omit<Place, 'read'>): GateStates {
  const lines = new Map<string, Waiting[]>();
  const place = { redis, prefix, now, read: createRecent<Read>() };
  const serve = async (name: string, line: Waiting[]): Promise<void> => {
    while (line.length > 0) {
      const batch = line.splice(0);
      const keys = [...new Set(batch.map(({ key }) => key))].slice(0, GATES_TOGETHER_MAX);
      const calls = Map.groupBy(batch, ({ key }) => keys.includes(key));
      line.unshift(...(calls.get(false) ?? []));
      await together({ ...place, batch: calls.get(true) ?? [] });
    }
    lines.delete(name);
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
      const waiting = { key, apply, done: () => (answer === null ? fail() : resolve(answer())), fail };
      const name = redis.isCluster ? key : '';
      const line = lines.get(name) ?? [];
      line.push(waiting);
      if (!lines.has(name)) {
        lines.set(name, line);
        void serve(name, line);
      }
      return promise;
    },
  };
}

/** Applies the changes of some gates until each has been applied to the newest state. */
async function together({ batch, ...place }: Place & { readonly batch: readonly Waiting[] }): Promise<void> {
  let open: Open = Map.groupBy(batch, ({ key }) => key);
  try {
    for (let tries = 0; tries < TRIES_MAX && open.size > 0; tries += 1) open = await tryAll({ ...place, open });
  } catch {
    // Told to each of those that are left.
  }
  for (const { fail } of [...open.values()].flat()) fail();
}

type Open = Map<string, readonly Waiting[]>;

/** One try, which gives back the gates that somebody else was faster at. */
async function tryAll({ redis, prefix, now, read, open }: Place & { readonly open: Open }): Promise<Open> {
  if (redis.status !== 'ready') throw new PerennialError('queue_unreachable');
  const left: Open = new Map();
  const writes: { readonly key: string; readonly before: string; readonly next: Read; readonly keepMs: number }[] = [];
  for (const [key, changes] of open) {
    const { text, state: before } = read.get(key) ?? { text: undefined, state: FRESH_GATE };
    const after = changes.reduce((state, { apply }) => apply(state), before);
    // An answer from a well endpoint changes nothing of what was read a moment ago.
    if (text !== undefined && after === before) for (const { done } of changes) done();
    else {
      const keepMs = Math.ceil(keepForMs({ state: after, now: now() }));
      writes.push({ key, before: text ?? '', next: { text: textOf(after), state: after }, keepMs });
      left.set(key, changes);
    }
  }
  if (writes.length === 0) return left;
  const keys = writes.map(({ key }) => `${prefix}:gate:{${key}}`);
  const values = writes.flatMap(({ before, next, keepMs }) => [before, next.text, keepMs]);
  const answers = answersSchema.parse(await redis.eval(SET_IF_SAME, keys.length, ...keys, ...values));
  for (const [place, { key, next }] of writes.entries()) {
    const newer = answers[place] ?? null;
    read.set(key, newer === null ? next : readOf(newer));
    if (newer !== null) continue;
    for (const { done } of left.get(key) ?? []) done();
    left.delete(key);
  }
  return left;
}

/** Put together by hand: an object whose names are random ids is slow to make, and each run makes two. */
function textOf({ holders, ...state }: GateState): string {
  const members = [...holders].map(([id, holder]) => `${JSON.stringify(id)}:${JSON.stringify(holder)}`);
  return `{"holders":{${members.join(',')}},${JSON.stringify(state).slice(1)}`;
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
