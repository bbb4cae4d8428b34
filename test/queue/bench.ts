import { randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'vitest';
import type { AnyQueue, QueueBackend } from '../../src/adapters/queue/backend.ts';
import { type Consumers, consume, type JobDefinition } from '../../src/adapters/queue/consume.ts';
import { createWorkQueue, type OpenWorkQueue } from '../../src/adapters/queue/work-queue.ts';
import { createClock } from '../../src/adapters/system/clock.ts';
import { type AuthorizationQueue, QUEUES } from '../../src/core/ports/queue.ts';
import type { Log, LogFields, Metrics } from '../../src/core/ports/telemetry.ts';

/** Somewhere BullMQ can lie. Opened again, it still has what it had. */
export type Place = {
  readonly open: () => Promise<QueueBackend>;
  /** Loses the pending job of a repeating one, as a half-restored Redis does; null where this cannot be done from outside. */
  readonly losePending: ((authorizationId: string) => Promise<void>) | null;
  /** Every stored place (key, row) whose name or content holds the text; null where this cannot be asked while it is open. */
  readonly tracesOf: ((text: string) => Promise<readonly string[]>) | null;
  readonly dispose: () => Promise<void>;
};

export const clock = createClock({ epochMs: 0, speed: 1 });
export const HOUR_MS = 3_600_000;
/** How long we wait for what must come. */
const COMES_WITHIN_MS = 10_000;
const POLL_MS = 15;

export const ALL_STATES = ['waiting', 'delayed', 'active', 'completed', 'failed', 'prioritized'] as const;
export const AUTHORIZATION_QUEUES = QUEUES.filter((name): name is AuthorizationQueue => name !== 'intake');

export const noMetrics: Metrics = {
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

export type Bench = {
  readonly backend: QueueBackend;
  readonly queue: OpenWorkQueue;
  readonly lines: readonly { readonly event: string; readonly fields: LogFields }[];
  /** An id that no other test has; its jobs are removed after the test. */
  readonly newId: (stem?: string) => string;
  readonly start: (definitions: readonly JobDefinition[], concurrency?: number) => Consumers;
  /** Ends what the test started and removes what it left. */
  readonly tidy: () => Promise<void>;
  readonly close: () => Promise<void>;
};

export async function openBench(place: Place): Promise<Bench> {
  const lines: { event: string; fields: LogFields }[] = [];
  const note: Log['info'] = (event, fields = {}) => {
    lines.push({ event, fields });
  };
  const log: Log = { info: note, warn: note, error: note };
  const backend = await place.open();
  const queue = createWorkQueue({ backend, clock, log });
  await queue.ready();
  const running: Consumers[] = [];
  const ids: string[] = [];
  return {
    backend,
    queue,
    lines,
    newId: (stem = 'a') => {
      const id = `${stem}-${randomBytes(6).toString('hex')}`;
      ids.push(id);
      return id;
    },
    start: (definitions, concurrency = 4) => {
      const signal = new AbortController().signal;
      const consumers = consume({ backend, definitions, concurrency, clock, log, metrics: noMetrics, signal });
      running.push(consumers);
      return consumers;
    },
    tidy: async () => {
      for (const consumers of running.splice(0)) await consumers.close({ force: false });
      await Promise.all(ids.splice(0).map((id) => queue.remove(id)));
    },
    close: async () => {
      await queue.close();
      await backend.close();
    },
  };
}

/** Jobs that have not ended. */
export async function openJobsOf(bench: Bench, name: AuthorizationQueue, id: string) {
  const jobs = await jobsOf(bench, name, id);
  return jobs.filter((job) => job.finishedOn === undefined);
}

/** The queue of that name which holds the authorization's jobs. */
export function queueNamed(bench: Bench, name: AuthorizationQueue, id: string): AnyQueue {
  return bench.queue.queueOf(name, id);
}

/** A new id whose jobs lie in the same shard: the same workers take them. */
export function newIdBeside(bench: Bench, id: string): string {
  for (;;) {
    const other = bench.newId('beside');
    if (queueNamed(bench, 'purge', other) === queueNamed(bench, 'purge', id)) return other;
  }
}

export function intakeOf(bench: Bench): AnyQueue {
  const intake = bench.queue.queues.find(({ name }) => name === 'intake');
  if (intake === undefined) throw new Error('no intake');
  return intake.queue;
}

/** Every job of one queue that names the authorization, in whatever state. */
export async function jobsOf(bench: Bench, name: AuthorizationQueue, id: string) {
  const jobs = await queueNamed(bench, name, id).getJobs([...ALL_STATES], 0, 10_000);
  return jobs.filter((job) => job?.data['authorizationId'] === id);
}

export async function waitUntil(
  what: string,
  condition: () => boolean | Promise<boolean>,
  withinMs = COMES_WITHIN_MS,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`did not come within ${withinMs} ms: ${what}`);
    await wait(POLL_MS);
  }
}

/** Watches for a whole window that something stays as it is. */
export async function staysSo(windowMs: number, check: () => void | Promise<void>): Promise<void> {
  const end = performance.now() + windowMs;
  while (performance.now() < end) {
    await check();
    await wait(POLL_MS);
  }
}

/** A place for a job to stop until the test lets it go on. */
export function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: () => resolve() };
}

/** Notes which authorization's jobs ran and when, and answers `done`. */
export function recorder(queue: AuthorizationQueue) {
  const runs: { readonly id: unknown; readonly at: number }[] = [];
  const definition: JobDefinition = {
    queue,
    run: async ({ payload }) => {
      runs.push({ id: payload['authorizationId'], at: Date.now() });
      return { kind: 'done', reason: 'recorded' };
    },
  };
  return { definition, runs, runsOf: (id: string) => runs.filter((run) => run.id === id) };
}

/** New ids none of whose slots, under any of the periods, comes within the next minute. */
export function calmIds(bench: Bench, count: number, periodsMs: readonly number[]): readonly string[] {
  const calm: string[] = [];
  const soon = Date.now() + 60_000;
  while (calm.length < count) {
    const id = bench.newId('calm');
    if (periodsMs.every((periodMs) => bench.queue.nextRunAt({ authorizationId: id, periodMs }) > soon)) calm.push(id);
  }
  return calm;
}

export function expectNear(actual: number, wanted: number, toleranceMs: number): void {
  expect(Math.abs(actual - wanted)).toBeLessThanOrEqual(toleranceMs);
}
