import { createSecretKey, type KeyObject } from 'node:crypto';
import { PerennialError } from '../../core/errors.ts';
import type { Secret } from '../../core/secret.ts';
import { createNonces, decrypt, encrypt } from './format.ts';

const VERSION = 1;
const KEY_BYTES = 32;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const KEY_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** The key-encryption keys. They wrap data keys; they themselves never leave. */
export type Keyring = {
  /** The key that wraps. */
  readonly currentId: string;
  readonly holds: (keyId: string) => boolean;
  /** The name of the key that made a wrap, as it says itself; null when it is none. */
  readonly keyIdOf: (wrapped: Uint8Array) => string | null;
  /** Under the current key: version byte, length and name of the key, nonce, ciphertext, tag. */
  readonly wrap: (value: { readonly authorizationId: string; readonly dataKey: Uint8Array }) => Uint8Array;
  /** @throws PerennialError `unseal_failed` when the key it names is not ours, or the owner or a byte differs. */
  readonly unwrap: (value: { readonly authorizationId: string; readonly wrapped: Uint8Array }) => Buffer;
};

type Key = { readonly id: string; readonly key: KeyObject };

/**
 * Makes a keyring; the first key is the current one, the others open what they once wrapped.
 * @throws PerennialError `config_invalid` naming ENCRYPTION_KEYS and the entry, never what is in it.
 */
export function createKeyring(keys: readonly { readonly id: string; readonly key: Secret }[]): Keyring {
  const parsed = keys.map(parseKey);
  const [current] = parsed;
  if (current === undefined) throw invalid('is empty');
  const byId = new Map(parsed.map(({ id, key }) => [id, key]));
  if (byId.size !== parsed.length) throw invalid('names a key twice');
  const nextNonce = createNonces();
  return {
    currentId: current.id,
    holds: (keyId) => byId.has(keyId),
    keyIdOf: (wrapped) => {
      const keyId = split(wrapped)?.keyId;
      return keyId !== undefined && KEY_ID.test(keyId) ? keyId : null;
    },
    wrap: ({ authorizationId, dataKey }) =>
      encrypt({
        key: current.key,
        header: headerOf(current.id),
        aad: ownerOf(authorizationId),
        nonce: nextNonce(),
        bytes: dataKey,
      }),
    unwrap: ({ authorizationId, wrapped }) => {
      const parts = split(wrapped);
      const key = parts === null ? undefined : byId.get(parts.keyId);
      if (parts === null || key === undefined) throw new PerennialError('unseal_failed');
      return decrypt({ key, aad: ownerOf(authorizationId), sealed: parts.sealed });
    },
  };
}

function parseKey({ id, key }: { readonly id: string; readonly key: Secret }, index: number): Key {
  const entry = `entry ${index + 1}`;
  if (!KEY_ID.test(id)) throw invalid(`${entry} has a name that is not 1 to 64 letters, digits, dots, _ or -`);
  const text = key.reveal();
  if (text === '') throw invalid(`${entry} has no key`);
  if (!BASE64.test(text)) throw invalid(`${entry} is not base64`);
  const bytes = Buffer.from(text, 'base64');
  if (bytes.byteLength !== KEY_BYTES) throw invalid(`${entry} is not ${KEY_BYTES} bytes`);
  const object = createSecretKey(bytes);
  bytes.fill(0);
  return { id, key: object };
}

function invalid(what: string): PerennialError {
  return new PerennialError('config_invalid', { field: `ENCRYPTION_KEYS ${what}` });
}

function headerOf(keyId: string): Uint8Array {
  const name = Buffer.from(keyId, 'utf8');
  return Buffer.concat([Uint8Array.of(VERSION, name.byteLength), name]);
}

function split(wrapped: Uint8Array): { readonly keyId: string; readonly sealed: Uint8Array } | null {
  const [version, length] = wrapped;
  if (version !== VERSION || length === undefined) return null;
  const keyId = Buffer.from(wrapped.subarray(2, 2 + length)).toString('utf8');
  return { keyId, sealed: wrapped.subarray(2 + length) };
}

function ownerOf(authorizationId: string): string {
  return `perennial/data-key/v1|${authorizationId}`;
}
