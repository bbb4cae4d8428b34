import { z } from 'zod';
import { UNITS } from '../../core/limits.ts';
import type { Introspection } from '../../core/ports/upstream.ts';
import type { HttpReply } from './http.ts';
import { parseJson } from './token-reply.ts';

const introspectionSchema = z.object({
  active: z.boolean(),
  exp: z.number().positive().nullish().catch(undefined),
});

/** What an introspection endpoint said of a token (RFC 7662, 2.2). A refusal speaks of us and not of the token. */
export function readIntrospection(http: HttpReply): Introspection {
  if (http.kind === 'none' || http.status !== 200) return { kind: 'unknown' };
  const parsed = introspectionSchema.safeParse(parseJson(http.bytes));
  if (!parsed.success) return { kind: 'unknown' };
  const { active, exp } = parsed.data;
  if (!active) return { kind: 'inactive' };
  return { kind: 'active', expiresAt: typeof exp === 'number' ? exp * UNITS.SECOND_MS : null };
}
