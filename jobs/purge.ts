import type { Context } from '../src/flows/context.ts';
import { purge } from '../src/flows/purge.ts';
import type { Job } from './job.ts';
import { parsePayload } from './payload.ts';

/** Erases an authorization at its deadline, or when asked to; the sweep proves it, once this job is no trace of it any more. */
export function purgeJob(context: Context): Job {
  return {
    queue: 'purge',
    run: ({ payload, signal }) =>
      purge({ context, authorizationId: parsePayload(payload).authorizationId, signal, inJob: true }),
  };
}
