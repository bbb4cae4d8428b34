import { activate } from '../src/flows/activate.ts';
import type { Context } from '../src/flows/context.ts';
import type { Job } from './job.ts';
import { parsePayload } from './payload.ts';

/** Exchanges the public token of a new authorization. */
export function activateJob(context: Context): Job {
  return {
    queue: 'activate',
    run: ({ payload, signal }) => activate({ context, authorizationId: parsePayload(payload).authorizationId, signal }),
  };
}
