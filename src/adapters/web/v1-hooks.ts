import { z } from 'zod';
import type { Service } from '../../contract/service.ts';
import type { Route } from './routes.ts';
import { readParams } from './schemas.ts';

const SIGNATURE = 'x-flexpa-signature';
const params = z.object({ source: z.string().min(1).max(64) });

/** The one road on which sources tell us something unasked. It needs no API key: what comes is signed. */
export function createHookRoutes(service: Pick<Service, 'takeHook'>): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/v1/hooks/:source',
      operationId: 'takeHook',
      summary:
        'Takes a signed webhook of a source: new data is pulled at once. Answers alike whether the webhook means somebody or not.',
      scope: null,
      rawBody: true,
      params,
      body: 'Hook',
      success: [{ status: 204, description: 'Taken, now or before', schema: null }],
      errors: ['hook_refused', 'body_too_large', 'database_unreachable'],
      handle: async ({ request, reply }) => {
        const { source } = readParams(params, request.params);
        const signature = request.headers[SIGNATURE];
        const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
        await service.takeHook({ source, signature: typeof signature === 'string' ? signature : null, body });
        return reply.code(204).send();
      },
    },
  ];
}
