import { z } from 'zod';
import { idSchema } from '../src/contract/wire.ts';
import { PerennialError } from '../src/core/errors.ts';
import { JOB_REASONS } from '../src/core/ports/queue.ts';

const payloadSchema = z.object({
  authorizationId: idSchema,
  reason: z.enum(JOB_REASONS),
});

export type AuthorizationPayload = z.infer<typeof payloadSchema>;

/** A job of ours names one authorization and why it runs; anything else in Redis is not ours. */
export function parsePayload(payload: unknown): AuthorizationPayload {
  const parsed = payloadSchema.safeParse(payload);
  if (!parsed.success) throw new PerennialError('invalid_request', { field: 'job payload' });
  return parsed.data;
}
