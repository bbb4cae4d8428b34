import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import type { ErrorCode } from '../../core/errors.ts';
import type { Scope } from './auth.ts';
import type { ComponentName } from './schemas.ts';

/** What one route answers when it goes well. */
export type Success = {
  readonly status: number;
  readonly description: string;
  readonly schema: ComponentName | null;
  /** One media type, or all that the caller may choose from. */
  readonly contentType?: string | readonly string[];
  /** Headers that tell something, by name. */
  readonly headers?: Readonly<Record<string, string>>;
};

/** One route of the API, said once: it is registered from this, guarded by this and documented from this. */
export type Route = {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Fastify's pattern, `:id` for a parameter. */
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  /** The handler gets the body as the bytes that came in, of any type, and no more than a webhook has. */
  readonly rawBody?: true;
  /** What the API key must be good for; `any` takes every key, null lets everybody in. */
  readonly scope: Scope | 'any' | null;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: ComponentName;
  readonly success: readonly Success[];
  /** What can go wrong besides authentication and our own faults. */
  readonly errors: readonly ErrorCode[];
  readonly handle: (call: {
    readonly request: FastifyRequest;
    readonly reply: FastifyReply;
    /** `service:<name>`. */
    readonly actor: string;
  }) => Promise<unknown>;
};

/** The path of one authorization, and what can go wrong with any route that names one. */
export const ONE = '/v1/authorizations/:id';
export const BY_ID = [
  'invalid_request',
  'authorization_not_found',
  'database_unreachable',
] as const satisfies readonly ErrorCode[];
