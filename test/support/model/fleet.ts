import { LIMITS } from '../../../src/core/limits.ts';
import type { JobOutcome } from '../../../src/core/ports/queue.ts';
import type { Context } from '../../../src/flows/context.ts';
import { createTokenDesk, type TokenDesk } from '../../../src/flows/give-token.ts';
import { refreshAndPull } from '../../../src/flows/refresh-and-pull.ts';
import { release } from '../../../src/flows/release.ts';
import { sweepRuns, URGENT_SWEEPS } from '../../../src/flows/sweep.ts';
import { accept } from './accept.ts';
import type { End, History } from './history.ts';
import type { Plan } from './plan.ts';
import type { Process } from './process.ts';
import { createWorker, type Variant } from './worker.ts';
import { createWorld, EPOCH_MS, type World } from './world.ts';

const SECOND_MS = 1_000;
const ROUND_MS = 45 * SECOND_MS;
/** After the last round: a freeze of three leases, the recovery and what it waits for. */
const SETTLING_MS = 120 * SECOND_MS;
/** The last runs wait for slow answers to the end. */
const QUIET_AFTER_MS = 600 * SECOND_MS;
/** All workers take up the same authorization within this long. */
const RUSH_MS = 400;
const RUNS_MAX = 5;
/** What leaves a lease that nobody gives back. A request that is cut off may be the one that gives it back. */
const DEADLY: ReadonlySet<string> = new Set(['crash', 'freeze', 'cut', 'stop']);
const LAST_RUNS_MAX = 8;

type Worker = { readonly process: Process; readonly context: Context; readonly desk: TokenDesk; busy: number };

/** Plays one schedule with the real flows, then lets a healthy worker run once more, and tells all that happened. */
export async function play(plan: Plan, variant: Variant = {}): Promise<History> {
  const world = createWorld(plan);
  const ids = Array.from({ length: plan.authorizations }, (_, index) => `authorization-${index}`);
  for (const id of ids) await accept({ world, id });
  const workers = Array.from({ length: plan.workers }, (_, index): Worker => {
    return workerOf(createWorker({ world, index, variant }));
  });
  for (const { worker, atMs, befall } of plan.jolts) {
    const joltedProcess = workers[worker]?.process;
    world.timeline.at(EPOCH_MS + atMs, () => {
      if (befall.kind === 'freeze') joltedProcess?.freeze(befall.forMs);
      else joltedProcess?.setClock(befall.byMs);
    });
  }
  for (let round = 0; round < plan.rounds; round += 1) {
    for (const worker of workers) {
      for (const id of ids) {
        const at = EPOCH_MS + round * ROUND_MS + world.random() * RUSH_MS;
        world.timeline.at(at, () => worker.process.deliver(() => run({ world, worker, id, left: RUNS_MAX })));
        for (let caller = 0; caller < plan.callers; caller += 1) {
          const asksAt = EPOCH_MS + round * ROUND_MS + world.random() * RUSH_MS;
          world.timeline.at(asksAt, () => worker.process.deliver(() => ask({ world, worker, id })));
        }
      }
    }
  }
  const lastRoundAt = EPOCH_MS + (plan.rounds - 1) * ROUND_MS + SECOND_MS;
  sweepEachSecond({ world, workers, until: lastRoundAt + SETTLING_MS });
  await world.timeline.runUntil(lastRoundAt);
  await world.timeline.runUntil(lastRoundAt + QUIET_AFTER_MS, () => isQuiet({ world, workers }));
  const ends = await conclude({ world, ids, variant });
  const processes = workers.map(({ process }) => process);
  return { ...world.seen, audit: world.tables.audit, events: world.tables.events, processes, ends };
}

function workerOf({ process, context }: ReturnType<typeof createWorker>): Worker {
  return { process, context, desk: createTokenDesk(context), busy: 0 };
}

/** One delivery of an authorization's job to a worker, put back as often as it asks for it. */
function run({
  world,
  worker,
  id,
  left,
}: {
  readonly world: World;
  readonly worker: Worker;
  readonly id: string;
  readonly left: number;
}): void {
  const { context } = worker;
  if (context.stopping.aborted) return;
  const { signal } = new AbortController();
  worker.busy += 1;
  void refreshAndPull({ context, authorizationId: id, askedFor: false, signal }).then((outcome) => {
    worker.busy -= 1;
    const afterMs = waitOf(outcome);
    if (afterMs === null || afterMs > ROUND_MS || left <= 1) return;
    worker.busy += 1;
    world.timeline.at(world.timeline.now() + afterMs, () =>
      worker.process.deliver(() => {
        worker.busy -= 1;
        run({ world, worker, id, left: left - 1 });
      }),
    );
  });
}

/** A service asks a worker for an access token. */
function ask({ world, worker, id }: { readonly world: World; readonly worker: Worker; readonly id: string }): void {
  if (worker.context.stopping.aborted) return;
  worker.busy += 1;
  void worker.desk
    .hand({ authorizationId: id, actor: 'service' })
    .then(({ given }) => {
      const committed = world.usable.has(given.accessToken.reveal());
      world.seen.handed.push({ authorizationId: id, at: world.timeline.now(), committed });
    })
    .catch(() => undefined)
    .finally(() => {
      worker.busy -= 1;
    });
}

function waitOf(outcome: JobOutcome): number | null {
  return outcome.kind === 'again' ? outcome.afterWallMs : null;
}

/** Each worker's sweeps, side by side and none twice at once. A look that would find nothing is left out: it would change nothing. */
function sweepEachSecond({
  world,
  workers,
  until,
}: {
  readonly world: World;
  readonly workers: readonly Worker[];
  readonly until: number;
}): void {
  const { timeline, tables } = world;
  const sweepers = workers.flatMap((worker) =>
    [...URGENT_SWEEPS, sweepRuns].map((look, index) => ({
      worker,
      look,
      index,
      underWay: new Set<string>(),
      looks: 0,
    })),
  );
  const finds = (worker: Worker): readonly boolean[] => {
    const before = worker.process.clock.wallNow() - LIMITS.overdueGraceMs;
    const intents = [...tables.intents.values()].some(
      ({ authorizationId, parked }) =>
        !parked && (tables.leases.get(authorizationId)?.expiresAt ?? 0) <= timeline.now(),
    );
    const runs = [...tables.authorizations.values()].some(
      ({ authorization: { state, nextRunAt } }) => state === 'active' && nextRunAt !== null && nextRunAt < before,
    );
    return [false, intents, runs, false];
  };
  const tick = (): void => {
    for (const sweeper of sweepers) {
      const { worker, look, index, underWay } = sweeper;
      const { process, context } = worker;
      if (!process.runs() || process.stopping.aborted || sweeper.looks >= LIMITS.sweepLooksMax) continue;
      if (finds(worker)[index] !== true) continue;
      sweeper.looks += 1;
      worker.busy += 1;
      const { signal } = new AbortController();
      void look({ context, signal, underWay })
        .catch(() => undefined)
        .finally(() => {
          sweeper.looks -= 1;
          worker.busy -= 1;
        });
    }
    if (timeline.now() < until) timeline.at(timeline.now() + LIMITS.sweepEveryMs, tick);
  };
  timeline.at(EPOCH_MS + world.random() * LIMITS.sweepEveryMs, tick);
}

/** Nothing is under way in any process that lives, and nobody who lives could take up what is open. */
function isQuiet({ world, workers }: { readonly world: World; readonly workers: readonly Worker[] }): boolean {
  const alive = workers.filter(({ process }) => !process.crashed());
  if (alive.some(({ busy }) => busy > 0)) return false;
  const living = alive.filter(({ process }) => !process.stopping.aborted);
  return living.length === 0 || [...world.tables.intents.values()].every(({ parked }) => parked);
}

/** An operator lets an authorization run again that was set aside; only after three deaths it may have been. */
async function letGo({ world, worker, id }: { readonly world: World; readonly worker: Worker; readonly id: string }) {
  const { timeline, tables, plan } = world;
  const authorization = tables.authorizations.get(id)?.authorization;
  const blows = [...plan.hits, ...plan.jolts].filter(({ befall }) => DEADLY.has(befall.kind));
  if (authorization?.state !== 'quarantined' || blows.length < LIMITS.crashesMax) return;
  const seen = { over: false };
  void release({ context: worker.context, authorization, actor: 'operator' }).finally(() => {
    seen.over = true;
  });
  await timeline.runUntil(timeline.now() + 60 * SECOND_MS, () => seen.over);
}

/** The faults are over: a new worker runs each authorization when its token has ended, until a run needs no other. */
async function conclude({
  world,
  ids,
  variant,
}: {
  readonly world: World;
  readonly ids: readonly string[];
  readonly variant: Variant;
}): Promise<readonly End[]> {
  const { timeline, tables, stored, faults } = world;
  faults.over = true;
  const worker: Worker = workerOf(createWorker({ world, index: world.plan.workers, variant }));
  const ends: End[] = [];
  for (const id of ids) {
    const before = stored.get(id)?.version ?? 0;
    await timeline.runUntil(Math.max(timeline.now(), tables.tokens.get(id)?.accessExpiresAt ?? 0) + SECOND_MS);
    for (let runs = 0; runs < LAST_RUNS_MAX; runs += 1) {
      await letGo({ world, worker, id });
      const seen: { outcome: JobOutcome | null } = { outcome: null };
      const { signal } = new AbortController();
      void refreshAndPull({ context: worker.context, authorizationId: id, askedFor: false, signal }).then((outcome) => {
        seen.outcome = outcome;
      });
      await timeline.runUntil(timeline.now() + 10 * 60 * SECOND_MS, () => seen.outcome !== null);
      // A source in trouble is left alone for a while, whatever the queue says.
      const until = tables.authorizations.get(id)?.authorization.trouble?.until ?? 0;
      const waitMs = seen.outcome === null ? 0 : waitOf(seen.outcome);
      // A worker whose clock is ahead may have planned the next run further away than it is.
      const early = seen.outcome?.kind === 'done' && seen.outcome.reason === 'planned_later';
      const planned = early ? (tables.authorizations.get(id)?.authorization.nextRunAt ?? 0) : 0;
      const aside = seen.outcome?.kind === 'done' && seen.outcome.reason === 'quarantined';
      if (waitMs === null && !early && !aside && until < timeline.now()) break;
      await timeline.runUntil(Math.max(until + 1, planned + 1, timeline.now() + (waitMs ?? 0)));
    }
    const authorization = tables.authorizations.get(id)?.authorization;
    if (authorization === undefined) throw new Error('the authorization is gone');
    const version = stored.get(id)?.version ?? 0;
    const given = world.seen.posts.filter((post) => post.authorizationId === id).flatMap((post) => post.given ?? []);
    const living = given.filter((token) => world.server.lives(token) && stored.get(id)?.refresh !== token);
    const refreshed = version > before;
    ends.push({ authorization, version, refreshed, living, openIntent: tables.intents.has(id) });
  }
  return ends;
}
