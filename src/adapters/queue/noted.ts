import { DelayedError, type Processor } from 'bullmq';
import { z } from 'zod';
import { LIMITS } from '../../core/limits.ts';
import type { QueueName } from '../../core/ports/queue.ts';
import type { Shard } from './layout.ts';
import { jobIdOf, type Payload, type Trail } from './trail.ts';

const namedSchema = z.object({ authorizationId: z.string().min(1) });

/**
 * Notes a job under its authorization before it runs, where its id is not made of the authorization's alone. One that cannot be noted is put back: once run and
 * kept, no purge would find it.
 */
export function noted({
  queue,
  shard,
  trail,
  processor,
}: {
  readonly queue: QueueName;
  readonly shard: Shard;
  readonly trail: Trail;
  readonly processor: Processor<Payload, void, string>;
}): Processor<Payload, void, string> {
  return async (job, token, signal) => {
    const named = namedSchema.safeParse(job.data);
    if (named.success && job.id !== undefined && job.id !== jobIdOf(named.data.authorizationId)) {
      try {
        await trail.note({ queue, shard, jobId: job.id, authorizationId: named.data.authorizationId });
      } catch {
        await job.moveToDelayed((job.processedOn ?? job.timestamp) + LIMITS.dependencyRetryWallMs, token);
        throw new DelayedError();
      }
    }
    return processor(job, token, signal);
  };
}
