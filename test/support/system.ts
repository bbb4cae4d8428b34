import { randomBytes } from 'node:crypto';
import { createLog } from '../../src/adapters/telemetry/log.ts';
import { readEnvironment } from '../../src/config.ts';
import type { Service } from '../../src/contract/service.ts';
import type { AuthorizationRequest, AuthorizationView } from '../../src/contract/wire.ts';
import { QUEUES, type QueueName } from '../../src/core/ports/queue.ts';
import type { Context } from '../../src/flows/context.ts';
import { createService } from '../../src/flows/serve.ts';
import { type OpenTokens, openTokens } from '../../src/flows/token-vault.ts';
import { compose } from '../../src/main/compose.ts';
import { startWorker } from '../../src/main/run.ts';
import { oddLines } from './log-lines.ts';
import type { Place } from './system-places.ts';
import { until } from './system-until.ts';
import { sortedRecords, sourcesOf, type World } from './world.ts';

const ACTOR = 'test';
const ASK_EVERY_MS = 150;

/** What one queue holds of an authorization. */
export type QueuedJob = { readonly queue: QueueName; readonly state: string; readonly delayMs: number };

/** A whole Perennial in this process, as `perennial start` composes it, without the web. */
export type System = {
  readonly place: Place;
  readonly context: Context;
  readonly service: Service;
  readonly accept: (request: AuthorizationRequest) => Promise<AuthorizationView>;
  readonly status: (id: string) => Promise<AuthorizationView>;
  /** Waits until the authorization is as `fits` says. */
  readonly reaches: (
    id: string,
    what: string,
    fits: (view: AuthorizationView) => boolean,
    capMs?: number,
  ) => Promise<AuthorizationView>;
  /** Waits for a pull that began after now and ended complete. */
  readonly pulledAgain: (id: string) => Promise<AuthorizationView>;
  /** Asks for a pull, and for the next one where it ended otherwise, until one that began after now has ended as `result` says. */
  readonly pull: (id: string, result?: 'complete' | 'partial') => Promise<AuthorizationView>;
  /** The stored records, a line each, in the order in which the sandbox lists its own. */
  readonly records: (id: string) => Promise<readonly string[]>;
  /** All changes so far, per kind, as `Type/id`. */
  readonly changes: (id: string) => Promise<Readonly<Record<'added' | 'modified' | 'removed', readonly string[]>>>;
  readonly tokens: (id: string) => Promise<OpenTokens>;
  /** The jobs that name it and are still to run, or failed. */
  readonly jobsOf: (id: string) => Promise<readonly QueuedJob[]>;
  /** All that the queue knows of it, jobs that ran well included. */
  readonly tracesOf: (id: string) => Promise<readonly QueuedJob[]>;
  readonly purge: (id: string) => Promise<AuthorizationView>;
  /** Stops it. @throws Error when a line of its log held anything but known fields of known shapes. */
  readonly stop: () => Promise<void>;
};

/** Composes and starts a worker at `place` that talks to `world`. */
export async function startSystem({ place, world }: { readonly place: Place; readonly world: World }): Promise<System> {
  const environment = readEnvironment({
    ...place.settings,
    ...world.rate,
    ENCRYPTION_KEYS: place.settings['ENCRYPTION_KEYS'] ?? `test:${randomBytes(32).toString('base64')}`,
    SOURCES: sourcesOf(world),
    LOG_LEVEL: process.env['TEST_LOG_LEVEL'] ?? 'silent',
    WORKER_CONCURRENCY: '40',
  });
  const composed = await compose(environment);
  const lines: string[] = [];
  const composition = { ...composed, context: { ...composed.context, log: recordingLog({ to: lines, composed }) } };
  const { context, queue } = composition;
  const service = createService(context);
  const worker = await startWorker({ composition, environment });
  const status = (id: string) => service.status(id);
  const reaches: System['reaches'] = (id, what, fits, capMs) =>
    until(`${id}: ${what}`, () => status(id), fits, capMs === undefined ? {} : { capMs });
  return {
    place,
    context,
    service,
    accept: async (request) => (await service.accept({ request, actor: ACTOR })).authorization,
    status,
    reaches,
    pulledAgain: (id) => reaches(id, 'pulled again', endedAfter(world.clock.now(), 'complete')),
    pull: async (id, result = 'complete') => {
      const fits = endedAfter(world.clock.now(), result);
      let askedAt = Number.NEGATIVE_INFINITY;
      const ask = async (): Promise<AuthorizationView> => {
        const view = await status(id);
        const isOver = askedAt === Number.NEGATIVE_INFINITY || Date.parse(view.lastPull?.at ?? '') >= askedAt - 1;
        if (fits(view) || !isOver) return view;
        askedAt = world.clock.now();
        return service.pullNow({ id, actor: ACTOR });
      };
      return until(`${id}: ${result}`, ask, fits, { everyMs: ASK_EVERY_MS });
    },
    records: async (id) => {
      const lines: string[] = [];
      const { resources } = await service.records({ id, actor: ACTOR });
      for await (const { bytes } of resources) lines.push(Buffer.from(bytes).toString());
      return sortedRecords(lines);
    },
    changes: async (id) => changesOf(service, id),
    tokens: async (id) => {
      const row = await context.store.tokens(id);
      if (row === null) throw new Error(`no tokens of ${id}`);
      return openTokens({ key: await context.vault.open(id), row });
    },
    jobsOf: async (id) => (await tracesOf({ queues: queue.queues, id })).filter(({ state }) => state !== 'completed'),
    tracesOf: (id) => tracesOf({ queues: queue.queues, id }),
    purge: (id) => service.requestPurge({ id, actor: ACTOR }),
    stop: async () => {
      await worker.stop();
      await composition.close();
      const odd = oddLines(lines);
      if (lines.length === 0 || odd.length > 0)
        throw new Error(`odd lines among ${lines.length}: ${odd.slice(0, 5).join('; ')}`);
    },
  };
}

/** Logs all that is logged, at the finest level, and passes it on to the log that the environment asks for. */
function recordingLog({
  to,
  composed,
}: {
  readonly to: string[];
  readonly composed: Awaited<ReturnType<typeof compose>>;
}): Context['log'] {
  const { log, clock } = composed.context;
  const own = createLog({ level: 'info', destination: { write: (line) => to.push(line) }, now: clock.wallNow });
  const both =
    (level: 'info' | 'warn' | 'error'): Context['log']['info'] =>
    (event, fields) => {
      own[level](event, fields);
      log[level](event, fields);
    };
  return { info: both('info'), warn: both('warn'), error: both('error') };
}

function endedAfter(from: number, result: string): (view: AuthorizationView) => boolean {
  return ({ lastPull }) => lastPull?.result === result && Date.parse(lastPull.at) >= Math.floor(from);
}

async function changesOf(service: Service, id: string): Promise<Record<'added' | 'modified' | 'removed', string[]>> {
  const found: Record<'added' | 'modified' | 'removed', string[]> = { added: [], modified: [], removed: [] };
  for (const change of await service.changes({ id, actor: ACTOR, after: 0, limit: 500 })) {
    for (const kind of ['added', 'modified', 'removed'] as const) {
      found[kind].push(...change[kind].map((resource) => `${change.resourceType}/${resource}`));
    }
  }
  return found;
}

async function tracesOf({
  queues,
  id,
}: {
  readonly queues: Awaited<ReturnType<typeof compose>>['queue']['queues'];
  readonly id: string;
}): Promise<readonly QueuedJob[]> {
  const found: QueuedJob[] = [];
  for (const queue of QUEUES) {
    const jobs = (
      await Promise.all(queues.filter(({ name }) => name === queue).map((one) => one.queue.getJobs()))
    ).flat();
    for (const job of jobs) {
      if (job?.data['authorizationId'] !== id) continue;
      const state = await job.getState();
      found.push({ queue, state, delayMs: job.delay });
    }
  }
  return found;
}
