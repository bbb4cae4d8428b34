import { z } from 'zod';
import { idSchema } from '../src/contract/wire.ts';
import { PerennialError } from '../src/core/errors.ts';

const payloadSchema = z.object({
  authorizationId: idSchema,
  reason: z.enum(['accepted', 'asked_for', 'due', 'repaired', 'told', 'doubted']),
});

export type AuthorizationPayload = z.infer<typeof payloadSchema>;

/** A job of ours names one authorization and why it runs; anything else in Redis is not ours. */
export function parsePayload(payload: unknown): AuthorizationPayload {
  const parsed = payloadSchema.safeParse(payload);
  if (!parsed.success) throw new PerennialError('invalid_request', { field: 'job payload' });
  return parsed.data;
}
