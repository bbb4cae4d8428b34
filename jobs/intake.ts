import { z } from 'zod';
import type { Service } from '../src/contract/service.ts';
import { type AuthorizationRequest, idSchema } from '../src/contract/wire.ts';
import { codeOf, ERRORS, PerennialError } from '../src/core/errors.ts';
import { LIMITS } from '../src/core/limits.ts';
import type { JobOutcome } from '../src/core/ports/queue.ts';
import type { Job } from './job.ts';

const intakeSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('accept'),
    authorizationId: idSchema,
    service: z.string().max(64),
    sealed: z.string().optional(),
  }),
  z.object({ kind: z.literal('cancel'), authorizationId: idSchema, service: z.string().max(64) }),
]);

/**
 * What other services put into Redis: requests sealed to our public key, and cancellations. A refusal is a failed job under its code, which the
 * sender can ask for; an outage of ours puts the job back.
 */
export function intakeJob({
  service,
  open,
}: {
  readonly service: Service;
  readonly open: (sealed: string) => Promise<AuthorizationRequest>;
}): Job {
  return {
    queue: 'intake',
    run: async ({ name, payload, ageMs }) => {
      try {
        await take({ service, open, job: parse(name, payload) });
        return { kind: 'done', reason: name };
      } catch (error) {
        return outcomeOf({ error, name, ageMs });
      }
    },
  };
}

function parse(name: string, payload: unknown): z.infer<typeof intakeSchema> {
  const parsed = intakeSchema.safeParse(typeof payload === 'object' ? { ...payload, kind: name } : payload);
  if (!parsed.success) throw new PerennialError('invalid_request', { field: 'job payload' });
  return parsed.data;
}

async function take({
  service,
  open,
  job,
}: {
  readonly service: Service;
  readonly open: (sealed: string) => Promise<AuthorizationRequest>;
  readonly job: z.infer<typeof intakeSchema>;
}): Promise<void> {
  const actor = `queue:${job.service}`;
  if (job.kind === 'cancel') {
    await service.requestPurge({ id: job.authorizationId, actor });
    return;
  }
  if (job.sealed === undefined) {
    // A crash came between the acceptance and the job's end, when the sealed part was already gone.
    await service.status(job.authorizationId);
    return;
  }
  const request = await open(job.sealed);
  if (request.id !== job.authorizationId) throw new PerennialError('invalid_request', { field: 'id' });
  await service.accept({ request, actor });
}

function outcomeOf({
  error,
  name,
  ageMs,
}: {
  readonly error: unknown;
  readonly name: string;
  readonly ageMs: number;
}): JobOutcome {
  const code = codeOf(error);
  // It may have overtaken the request it cancels: workers take several jobs at once, and an outage puts a request back.
  const early = name === 'cancel' && code === 'authorization_not_found' && ageMs < LIMITS.cancelWaitsForMs;
  if (early) return { kind: 'again', afterWallMs: LIMITS.dependencyRetryWallMs, reason: code };
  if (ERRORS[code].retry === 'never') return { kind: 'failed', code };
  return { kind: 'again', afterWallMs: LIMITS.dependencyRetryWallMs, reason: code };
}
