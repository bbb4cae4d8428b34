import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { PerennialError } from '../../core/errors.ts';
import type { Log } from '../../core/ports/telemetry.ts';

const limits = {
  /** Keys are some tens of characters; a longer header is not hashed. */
  keyMaxChars: 512,
} as const;

/**
 * What a key may do: `records` covers the resources and the changes, which name them; `token` the access tokens; `audit` the audit trail and all receipts;
 * `operate` what concerns the installation; `read` the rest.
 */
export const SCOPES = ['enqueue', 'read', 'purge', 'pull', 'records', 'token', 'audit', 'operate'] as const;
export type Scope = (typeof SCOPES)[number];

/** One calling service. `keyHash` is the sha256 of its key, so that a configuration dump opens nothing. */
export type ApiKey = {
  readonly service: string;
  readonly scopes: readonly Scope[];
  readonly keyHash: Uint8Array;
};

/** Who was let in by which request; kept beside the request so that nothing but the guard can write it. */
export type Callers = {
  /** The service of an authenticated request, or null. */
  readonly serviceOf: (request: FastifyRequest) => string | null;
  /** A hook that lets pass who has a key with the scope; `any` asks for no more than a key. It throws `unauthenticated` or `forbidden`. */
  readonly guard: (scope: Scope | 'any') => (request: FastifyRequest, reply: FastifyReply) => Promise<void>;
};

/** Authenticates by `Authorization: Bearer` or `X-API-Key`, comparing sha256 sums in constant time over all keys. */
export function createCallers({ apiKeys, log }: { readonly apiKeys: readonly ApiKey[]; readonly log: Log }): Callers {
  const callers = new WeakMap<FastifyRequest, string>();
  return {
    serviceOf: (request) => callers.get(request) ?? null,
    guard: (scope) => async (request, reply) => {
      const key = findKey({ presented: presentedKey(request), apiKeys });
      const route = `${request.method} ${request.routeOptions.url ?? 'unmatched'}`;
      if (key === null) {
        log.warn('authentication_failed', { route, code: 'unauthenticated', address: request.ip });
        reply.header('www-authenticate', 'Bearer realm="Perennial"');
        throw new PerennialError('unauthenticated');
      }
      callers.set(request, key.service);
      if (scope !== 'any' && !key.scopes.includes(scope)) {
        log.warn('scope_missing', { route, code: 'forbidden', service: key.service, reason: scope });
        throw new PerennialError('forbidden', { field: `scope ${scope}` });
      }
    },
  };
}

function presentedKey(request: FastifyRequest): string | null {
  const bearer = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1];
  const header = request.headers['x-api-key'];
  const key = bearer ?? (typeof header === 'string' ? header : undefined);
  return key === undefined || key.length > limits.keyMaxChars ? null : key;
}

function findKey({
  presented,
  apiKeys,
}: {
  readonly presented: string | null;
  readonly apiKeys: readonly ApiKey[];
}): ApiKey | null {
  if (presented === null) return null;
  const hash = sha256(presented);
  let found: ApiKey | null = null;
  // No early exit: the time must not tell how far down the list a key stands.
  for (const key of apiKeys) if (sameBytes(hash, key.keyHash)) found = key;
  return found;
}

export function sha256(text: string): Uint8Array {
  return createHash('sha256').update(text, 'utf8').digest();
}

/** Compares in constant time; the sides must be hashes, since a difference in length shows. */
export function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.byteLength === right.byteLength && timingSafeEqual(left, right);
}
