import type { Context } from '../src/flows/context.ts';
import { refreshAndPull } from '../src/flows/refresh-and-pull.ts';
import type { Job } from './job.ts';
import { parsePayload } from './payload.ts';

/** The repeating job of a MULTIPLE authorization. */
export function refreshAndPullJob(context: Context): Job {
  return {
    queue: 'refresh-and-pull',
    run: ({ payload, signal }) => {
      const { authorizationId, reason } = parsePayload(payload);
      return refreshAndPull({ context, authorizationId, askedFor: reason === 'asked_for', signal });
    },
  };
}
