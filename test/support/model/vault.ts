import { PerennialError } from '../../../src/core/errors.ts';
import { HASH_CHARS } from '../../../src/core/place-table.ts';
import type { Codec } from '../../../src/core/ports/codec.ts';
import type { DataKey, Vault } from '../../../src/core/ports/vault.ts';

/** A vault that hides nothing and still binds: what was sealed for one place does not open in another. */
export function createVaultModel(): Vault {
  const keys = new Map<string, DataKey>();
  const make = (authorizationId: string): DataKey => {
    const key = keys.get(authorizationId) ?? dataKeyOf(authorizationId);
    keys.set(authorizationId, key);
    return key;
  };
  return {
    create: async (authorizationId) => make(authorizationId),
    open: async (authorizationId) => {
      const key = keys.get(authorizationId);
      if (key === undefined) throw new PerennialError('key_missing');
      return key;
    },
    destroy: async (authorizationId) => {
      keys.delete(authorizationId);
    },
    has: async (authorizationId) => keys.has(authorizationId),
    rewrap: async () => ({
      next: null,
      currentKeyId: 'model',
      rewrapped: 0,
      current: keys.size,
      gone: 0,
      unreadable: 0,
    }),
    census: async () => ({ next: null, currentKeyId: 'model', keys: [], unreadable: 0 }),
    reclaim: async () => undefined,
    anchors: async () => [],
    anchor: async () => undefined,
    ping: async () => undefined,
    close: async () => undefined,
  };
}

function dataKeyOf(authorizationId: string): DataKey {
  const bindingOf = (purpose: string, context: string) => Buffer.from(`${authorizationId}|${purpose}|${context}|`);
  return {
    seal: ({ purpose, context, bytes }) => Buffer.concat([bindingOf(purpose, context), bytes]),
    unseal: ({ purpose, context, sealed }) => {
      const binding = bindingOf(purpose, context);
      if (binding.compare(sealed, 0, binding.length) !== 0) throw new PerennialError('unseal_failed');
      return sealed.subarray(binding.length);
    },
    derive: (info) => Buffer.from(info.padEnd(32).slice(0, 32)),
    fingerprint: () => `print-of-${authorizationId}`,
    mac: ({ purpose, bytes }) =>
      `${purpose}:${hashOf(typeof bytes === 'string' ? Buffer.from(bytes) : bytes)}`.padEnd(HASH_CHARS, '.'),
  };
}

/** FNV-1a: the model keeps no secret, and its records are few. */
function hashOf(bytes: Uint8Array): string {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0).toString(36);
}

export const PLAIN_CODEC: Codec = {
  compress: async (bytes) => bytes,
  expand: async ({ bytes }) => bytes,
};
