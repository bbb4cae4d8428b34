import { PerennialError } from '../../../src/core/errors.ts';
import type { Store } from '../../../src/core/ports/store.ts';
import type { Log, Metrics } from '../../../src/core/ports/telemetry.ts';
import type { Source } from '../../../src/core/ports/upstream.ts';
import type { Context } from '../../../src/flows/context.ts';
import { createPullPlaces } from '../../../src/flows/pull-places.ts';
import { createSuspects } from '../../../src/flows/suspects.ts';
import { NO_LEARNER } from '../no-learner.ts';
import { OPEN_GATES } from '../open-gates.ts';
import { farSource, SOURCE_NAME } from './far-source.ts';
import { type Far, farStore } from './far-store.ts';
import type { Post } from './history.ts';
import type { Hit, Place } from './plan.ts';
import { createProcess, type Process } from './process.ts';
import { queuePort } from './queue.ts';
import { between, createIds } from './random.ts';
import type { Tables } from './store-tables.ts';
import type { Timeline } from './timeline.ts';
import { PLAIN_CODEC } from './vault.ts';
import type { World } from './world.ts';

/** One call of the store takes this long at most, there and back each. */
const CALL_MAX_MS = 25;
export const SILENT_LOG: Log = { info: () => {}, warn: () => {}, error: () => {} };
export const NO_METRICS: Metrics = {
  refresh: () => {},
  pull: () => {},
  records: () => {},
  refused: () => undefined,
  purge: () => {},
  job: () => {},
  turnedAway: () => {},
  repaired: () => {},
  quarantined: () => {},
  drift: () => {},
  hook: () => {},
};

/** What stands between the flows and a deliberately broken worker: its ports, as it would have them. */
export type Variant = {
  readonly store?: (value: {
    readonly store: Store;
    readonly tables: Tables;
    readonly process: Process;
    readonly timeline: Timeline;
  }) => Store;
  readonly source?: (source: Source) => Source;
};

/** One worker: a process of its own with ports of its own. */
export function createWorker({
  world,
  index,
  variant,
}: {
  readonly world: World;
  readonly index: number;
  readonly variant: Variant;
}): { readonly process: Process; readonly context: Context } {
  const { timeline, random, plan, tables } = world;
  const process = createProcess({ name: `worker-${index}`, timeline });
  const meet = meetings({
    process,
    hits: plan.hits.filter(({ worker }) => worker === index),
    over: () => world.faults.over,
  });
  const near = farStore({ store: world.store, far: farOf({ world, process, meet }) });
  const ours: Store = {
    ...near,
    openIntent: (value) => {
      world.intentOwners.set(value.intent.attemptId, process);
      return near.openIntent(value);
    },
  };
  const store = variant.store?.({ store: ours, tables, process, timeline }) ?? ours;
  const wires = wiresOf({ world, process, meet });
  const source = variant.source?.(farSource(wires)) ?? farSource(wires);
  const context: Context = {
    store,
    queue: queuePort({ model: world.queue, clock: process.clock }),
    vault: world.vault,
    sources: {
      get: (name) => (name === SOURCE_NAME ? source : undefined),
      names: () => [SOURCE_NAME],
      close: async () => {},
    },
    gates: OPEN_GATES,
    suspects: createSuspects(),
    pulls: createPullPlaces({ count: 30 }),
    codec: PLAIN_CODEC,
    clock: process.clock,
    entropy: { random, id: createIds(process.name) },
    log: SILENT_LOG,
    metrics: NO_METRICS,
    cadence: { networks: {}, endpoints: {} },
    learner: NO_LEARNER,
    warnDays: [],
    purgeAlertMs: 300_000,
    owner: process.name,
    stopping: process.stopping,
  };
  return { process, context };
}

type Meet = (place: Place, when: 'before' | 'after') => 'cut' | 'nothing';

/** Whether something befalls a process where it is just now. */
function meetings({
  process,
  hits,
  over,
}: {
  readonly process: Process;
  readonly hits: readonly Hit[];
  readonly over: () => boolean;
}): Meet {
  if (hits.length === 0) return () => 'nothing';
  const counts = new Map<string, number>();
  return (place, when) => {
    if (over()) return 'nothing';
    const nth = (counts.get(`${place} ${when}`) ?? 0) + 1;
    counts.set(`${place} ${when}`, nth);
    const met = hits.filter((hit) => hit.place === place && hit.when === when && hit.nth === nth);
    for (const { befall } of met) {
      if (befall.kind === 'crash') process.crash();
      if (befall.kind === 'freeze') process.freeze(befall.forMs);
      if (befall.kind === 'stop') process.stop();
    }
    return met.some(({ befall }) => befall.kind === 'cut') ? 'cut' : 'nothing';
  };
}

/** A call leaves a process that runs, takes effect whatever befalls the process meanwhile, and is answered when it runs. */
function farOf({
  world,
  process,
  meet,
}: {
  readonly world: World;
  readonly process: Process;
  readonly meet: Meet;
}): Far {
  const { timeline, random } = world;
  const later = (act: () => void) => timeline.at(timeline.now() + random() * CALL_MAX_MS, act);
  return (name, effect) =>
    new Promise((resolve, reject) => {
      const cut = () => later(() => process.deliver(() => reject(new PerennialError('database_unreachable'))));
      const lost = meet(name, 'before') === 'cut';
      process.deliver(() => {
        if (lost) return cut();
        later(() => {
          void effect().then(
            (value) => {
              if (meet(name, 'after') === 'cut') cut();
              else later(() => process.deliver(() => resolve(value)));
            },
            (error: unknown) => later(() => process.deliver(() => reject(error))),
          );
        });
      });
    });
}

function wiresOf({
  world,
  process,
  meet,
}: {
  readonly world: World;
  readonly process: Process;
  readonly meet: Meet;
}): Parameters<typeof farSource>[0] {
  const { timeline, random, plan, server, seen, stored, tables, faults } = world;
  const longest = { connect: plan.connectMaxMs, request: 150, thinking: 400, reply: 150 };
  return {
    process,
    timeline,
    server,
    meet: (place, when) => void meet(place, when),
    deadlineFirst: plan.deadlineFirst,
    delayMs: (what) => {
      if (faults.over) return between(random, 5, 20);
      return between(random, what === 'connect' ? (plan.connectMinMs ?? 5) : 5, longest[what]);
    },
    nextFault: () => {
      if (faults.over) return 'none';
      faults.next += 1;
      return plan.posts[faults.next - 1] ?? 'none';
    },
    posted: ({ token, fault, sender }) => {
      const authorizationId = server.ownerOf(token) ?? '';
      const pair = stored.get(authorizationId);
      const intent = tables.intents.get(authorizationId);
      const sent: Post = {
        sender,
        authorizationId,
        token,
        fault,
        wireAt: timeline.now(),
        version: intent?.tokenVersion ?? pair?.version ?? 0,
        superseded: pair !== undefined && pair.refresh !== token,
        stopped: sender.stopping.aborted,
        announced: intent !== undefined && world.intentOwners.get(intent.attemptId) === sender,
        unsure: intent?.unsure === true,
        verdict: 'none',
        why: null,
        verdictAt: 0,
        given: null,
        answeredAt: null,
        answer: null,
      };
      seen.posts.push(sent);
      return sent;
    },
    paged: (access) => {
      const authorizationId = server.ownerOf(access) ?? 'ended';
      seen.pages.push({ authorizationId, at: timeline.now(), committed: world.usable.has(access) });
    },
  };
}
