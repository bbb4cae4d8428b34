import type { Context } from '../src/flows/context.ts';
import { fetchOnce } from '../src/flows/fetch-once.ts';
import type { Job } from './job.ts';
import { parsePayload } from './payload.ts';

/** The one fetch of a ONE_TIME authorization. */
export function fetchOnceJob(context: Context): Job {
  return {
    queue: 'fetch-once',
    run: ({ payload, signal }) =>
      fetchOnce({ context, authorizationId: parsePayload(payload).authorizationId, signal }),
  };
}
