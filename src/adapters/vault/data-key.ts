import { createHmac, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import { PerennialError } from '../../core/errors.ts';
import type { DataKey } from '../../core/ports/vault.ts';
import { decrypt, encrypt } from './format.ts';

const VERSION = 1;
const HEADER = Uint8Array.of(VERSION);
export const DATA_KEY_BYTES = 32;
/** 132 bits in base64url. */
const MAC_CHARS = 22;
const FINGERPRINT_CHARS = 22;

/**
 * Opens a data key for use and wipes `bytes`. What it gives holds the key in closures and KeyObjects only: printed or serialised, nothing of it shows.
 */
export function createDataKey({
  authorizationId,
  bytes,
}: {
  readonly authorizationId: string;
  readonly bytes: Buffer;
}): DataKey {
  if (bytes.byteLength !== DATA_KEY_BYTES) throw new PerennialError('unseal_failed');
  const sealing = createSecretKey(bytes);
  // Derived, so that hashing and sealing never share a key.
  const hashing = deriveKey({ bytes, info: 'perennial/mac/v1' });
  const fingerprint = expand({ key: sealing, info: 'perennial/fingerprint/v1' });
  bytes.fill(0);
  return {
    seal: ({ purpose, context, bytes: plain }) =>
      encrypt({ key: sealing, header: HEADER, aad: bindingOf({ authorizationId, purpose, context }), bytes: plain }),
    unseal: ({ purpose, context, sealed }) => {
      if (sealed[0] !== VERSION) throw new PerennialError('unseal_failed');
      const aad = bindingOf({ authorizationId, purpose, context });
      return decrypt({ key: sealing, aad, sealed: sealed.subarray(HEADER.byteLength) });
    },
    mac: ({ purpose, bytes: value }) =>
      createHmac('sha256', hashing)
        .update(`${purpose.length}|${purpose}|`)
        .update(value)
        .digest('base64url')
        .slice(0, MAC_CHARS),
    // A prefix of its own, so that no caller can ask for the key that hashes.
    derive: (info) => expand({ key: sealing, info: `perennial/derived/v1|${info}` }),
    fingerprint: fingerprint.toString('base64url').slice(0, FINGERPRINT_CHARS),
  };
}

/** The associated data of a seal. Each part is preceded by its length, so that no two bindings read the same. */
function bindingOf({
  authorizationId,
  purpose,
  context,
}: {
  readonly authorizationId: string;
  readonly purpose: string;
  readonly context: string;
}): string {
  return ['perennial/v1', authorizationId, purpose, context].map((part) => `${part.length}:${part}`).join('|');
}

function deriveKey({ bytes, info }: { readonly bytes: Buffer; readonly info: string }): KeyObject {
  const derived = expand({ key: bytes, info });
  const key = createSecretKey(derived);
  derived.fill(0);
  return key;
}

function expand({ key, info }: { readonly key: Buffer | KeyObject; readonly info: string }): Buffer {
  return Buffer.from(hkdfSync('sha256', key, '', info, DATA_KEY_BYTES));
}
