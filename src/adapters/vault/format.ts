import { createCipheriv, createDecipheriv, type KeyObject, randomBytes } from 'node:crypto';
import { PerennialError } from '../../core/errors.ts';

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Nonces drawn at once: to ask for 12 random bytes costs as much as to seal 400. They are no secret, and none is given twice. */
const NONCES_TOGETHER = 256;

/** Random nonces for {@link encrypt}, each of them new. */
export function createNonces(): () => Uint8Array {
  let drawn = Buffer.alloc(0);
  return () => {
    if (drawn.byteLength === 0) drawn = randomBytes(NONCES_TOGETHER * NONCE_BYTES);
    const nonce = drawn.subarray(0, NONCE_BYTES);
    drawn = drawn.subarray(NONCE_BYTES);
    return nonce;
  };
}

/** AES-256-GCM under a nonce of {@link createNonces}: nonce, ciphertext and tag behind `header`, which is not encrypted. */
export function encrypt({
  key,
  header,
  aad,
  nonce,
  bytes,
}: {
  readonly key: KeyObject;
  readonly header: Uint8Array;
  readonly aad: string;
  readonly nonce: Uint8Array;
  readonly bytes: Uint8Array;
}): Uint8Array {
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES }).setAAD(Buffer.from(aad, 'utf8'));
  const body = cipher.update(bytes);
  return Buffer.concat([header, nonce, body, cipher.final(), cipher.getAuthTag()]);
}

/** Opens what {@link encrypt} made, from behind its header. @throws PerennialError `unseal_failed` when the key, `aad` or a byte differs. */
export function decrypt({
  key,
  aad,
  sealed,
}: {
  readonly key: KeyObject;
  readonly aad: string;
  readonly sealed: Uint8Array;
}): Buffer {
  if (sealed.byteLength < NONCE_BYTES + TAG_BYTES) throw new PerennialError('unseal_failed');
  const nonce = sealed.subarray(0, NONCE_BYTES);
  const tag = sealed.subarray(sealed.byteLength - TAG_BYTES);
  const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
    .setAAD(Buffer.from(aad, 'utf8'))
    .setAuthTag(tag);
  const body = decipher.update(sealed.subarray(NONCE_BYTES, sealed.byteLength - TAG_BYTES));
  try {
    return Buffer.concat([body, decipher.final()]);
  } catch {
    throw new PerennialError('unseal_failed');
  }
}
