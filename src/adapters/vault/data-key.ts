import { createHmac, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import { PerennialError } from '../../core/errors.ts';
import type { DataKey } from '../../core/ports/vault.ts';
import { createNonces, decrypt, encrypt } from './format.ts';

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
  nextNonce = createNonces(),
}: {
  readonly authorizationId: string;
  readonly bytes: Buffer;
  /** Drawn for many keys at once where a vault opens many. */
  readonly nextNonce?: () => Uint8Array;
}): DataKey {
  if (bytes.byteLength !== DATA_KEY_BYTES) throw new PerennialError('unseal_failed');
  const sealing = createSecretKey(bytes);
  bytes.fill(0);
  // Derived, so that hashing and sealing never share a key; when it is asked for, since a refresh hashes nothing.
  let hashing: KeyObject | null = null;
  return {
    seal: ({ purpose, context, bytes: plain }) => {
      const aad = bindingOf({ authorizationId, purpose, context });
      return encrypt({ key: sealing, header: HEADER, aad, nonce: nextNonce(), bytes: plain });
    },
    unseal: ({ purpose, context, sealed }) => {
      if (sealed[0] !== VERSION) throw new PerennialError('unseal_failed');
      const aad = bindingOf({ authorizationId, purpose, context });
      return decrypt({ key: sealing, aad, sealed: sealed.subarray(HEADER.byteLength) });
    },
    mac: ({ purpose, bytes: value }) => {
      hashing ??= deriveKey({ key: sealing, info: 'perennial/mac/v1' });
      return createHmac('sha256', hashing)
        .update(`${purpose.length}|${purpose}|`)
        .update(value)
        .digest('base64url')
        .slice(0, MAC_CHARS);
    },
    // A prefix of its own, so that no caller can ask for the key that hashes.
    derive: (info) => expand({ key: sealing, info: `perennial/derived/v1|${info}` }),
    fingerprint: () => {
      const name = expand({ key: sealing, info: 'perennial/fingerprint/v1' });
      return name.toString('base64url').slice(0, FINGERPRINT_CHARS);
    },
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

function deriveKey({ key, info }: { readonly key: KeyObject; readonly info: string }): KeyObject {
  const bytes = expand({ key, info });
  const derived = createSecretKey(bytes);
  bytes.fill(0);
  return derived;
}

function expand({ key, info }: { readonly key: KeyObject; readonly info: string }): Buffer {
  return Buffer.from(hkdfSync('sha256', key, '', info, DATA_KEY_BYTES));
}
