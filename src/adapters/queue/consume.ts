import { DelayedError, UnrecoverableError } from 'bullmq';
import { codeOf } from '../../core/errors.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { JobOutcome, QueueName } from '../../core/ports/queue.ts';
import type { Log, Metrics } from '../../core/ports/telemetry.ts';
import type { AnyWorker, QueueBackend } from './bullmq-parts.ts';
import { type QueueAt, queuesOf } from './layout.ts';
import { createPlaces } from './places.ts';
import { tellerOf } from './told-seldom.ts';
import type { Payload } from './trail.ts';

/** One queue's job: what to do with a payload. It answers with an outcome and does not throw for what it foresaw. */
export type JobDefinition = {
  readonly queue: QueueName;
  readonly run: (value: {
    readonly name: string;
    readonly payload: Payload;
    /** How long ago the job was added; wall time. */
    readonly ageMs: number;
    readonly signal: AbortSignal;
  }) => Promise<JobOutcome>;
};

/** Workers that take jobs until they are closed. */
export type Consumers = { readonly close: (how: { readonly force: boolean }) => Promise<void> };

/**
 * Takes the jobs of each definition's queue, with one worker a shard; they share the concurrency, and each has 1 at least. An outcome becomes BullMQ's own move: done, put back as delayed (this one job, never the whole
 * queue: `worker.rateLimit()` would stop every payer), or failed under its fixed code. Processors return nothing, because BullMQ keeps
 * return values in its events stream after the job is gone.
 */
export function consume({
  backend,
  definitions,
  concurrency,
  clock,
  log,
  metrics,
  signal,
}: {
  readonly backend: QueueBackend;
  readonly definitions: readonly JobDefinition[];
  readonly concurrency: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly signal: AbortSignal;
}): Consumers {
  let closing = false;
  const isClosing = () => closing;
  const tell = tellerOf({ log, clock, event: 'worker_error' });
  const each = Math.ceil(concurrency / backend.layout.shards.length);
  const workers = queuesOf(backend.layout).flatMap((at) =>
    definitions
      .filter(({ queue }) => queue === at.name)
      .map((definition) => {
        const own = at.name === 'intake' ? concurrency : each;
        return startWorker({ backend, at, definition, concurrency: own, clock, log, metrics, signal, isClosing, tell });
      }),
  );
  return {
    close: async ({ force }) => {
      closing = true;
      await Promise.all(workers.map((worker) => worker.close(force)));
    },
  };
}

type Starting = Omit<Parameters<typeof consume>[0], 'definitions'> & {
  readonly at: QueueAt;
  readonly definition: JobDefinition;
  readonly isClosing: () => boolean;
  readonly tell: (queue: QueueName) => void;
};

function startWorker(starting: Starting): AnyWorker {
  const { backend, at, concurrency, tell } = starting;
  const onChange = (): void => {
    worker.concurrency = places.wanted();
  };
  const places = createPlaces({ count: concurrency, onChange });
  const work = processorOf(starting);
  const worker = backend.createWorker(at, (job, token) => places.within(() => work(job, token)), {
    concurrency: places.wanted(),
  });
  worker.on('error', () => tell(at.name));
  return worker;
}

type Processor = Parameters<QueueBackend['createWorker']>[1];

function processorOf({ definition: { queue, run }, clock, log, metrics, signal, isClosing }: Starting): Processor {
  return async (job, token) => {
    if (isClosing()) {
      // BullMQ looks once more for a job after it was told to close.
      await job.moveToDelayed(clock.wallNow(), token);
      throw new DelayedError();
    }
    const startedAt = clock.wallNow();
    const outcome = await settled(() =>
      run({ name: job.name, payload: job.data, ageMs: startedAt - job.timestamp, signal }),
    );
    const durationMs = clock.wallNow() - startedAt;
    const reason = outcome.kind === 'failed' ? outcome.code : outcome.reason;
    metrics.job({ queue, outcome: outcome.kind, durationMs });
    const authorizationId = job.data['authorizationId'];
    log.info('job', {
      queue,
      outcome: outcome.kind,
      reason,
      durationMs,
      ...(typeof authorizationId === 'string' ? { authorizationId } : {}),
    });
    if (outcome.kind === 'again') {
      if (outcome.asDue === true) await job.updateData({ ...job.data, reason: 'due' });
      await job.moveToDelayed(clock.wallNow() + Math.round(outcome.afterWallMs), token);
      throw new DelayedError();
    }
    await forgetSealed(job);
    if (outcome.kind === 'failed') throw withoutTrace(new UnrecoverableError(outcome.code));
  };
}

/** What was sealed into a job opens with our key for as long as that lives, also after a purge: the finished job that is kept for people keeps ids only. */
async function forgetSealed(job: Parameters<Processor>[0]): Promise<void> {
  if (!('sealed' in job.data)) return;
  await job.updateData(Object.fromEntries(Object.entries(job.data).filter(([name]) => name !== 'sealed')));
}

async function settled(run: () => Promise<JobOutcome>): Promise<JobOutcome> {
  try {
    return await run();
  } catch (error) {
    return { kind: 'failed', code: codeOf(error) };
  }
}

/** BullMQ stores the stack with the failed job; ours says nothing that the code does not. */
function withoutTrace(error: Error): Error {
  error.stack = error.message;
  return error;
}
