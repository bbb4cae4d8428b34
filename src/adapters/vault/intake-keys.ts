import { createHash, createPrivateKey } from 'node:crypto';
import { PerennialError } from '../../core/errors.ts';
import type { Keyring } from './keyring.ts';

/** A PKCS #8 wrapping of 32 raw bytes as an X25519 private key (RFC 8410). */
const PKCS8_X25519 = Buffer.from('302e020100300506032b656e04220420', 'hex');

type PublicX25519 = { readonly kty: 'OKP'; readonly crv: 'X25519'; readonly x: string };

export type IntakeKeys = {
  /** Of the current key: what producers seal their requests to. */
  readonly publicJwk: PublicX25519 & { readonly kid: string };
  /** Of every key, the current one first: a request sealed before a rotation still opens. */
  readonly privateJwks: readonly { readonly kid: string; readonly jwk: PublicX25519 & { readonly d: string } }[];
};

/** The intake's key pairs, each derived from one key of the keyring: there is nothing more to keep, and every worker has the same ones. */
export function deriveIntakeKeys(keyring: Keyring): IntakeKeys {
  const privateJwks = keyring.derive('perennial/intake/v1').map(toPair);
  const [current] = privateJwks;
  if (current === undefined) throw new PerennialError('config_invalid', { field: 'ENCRYPTION_KEYS' });
  const { kty, crv, x } = current.jwk;
  return { publicJwk: { kty, crv, x, kid: current.kid }, privateJwks };
}

function toPair({
  keyId,
  bytes,
}: {
  readonly keyId: string;
  readonly bytes: Buffer;
}): IntakeKeys['privateJwks'][number] {
  const key = Buffer.concat([PKCS8_X25519, bytes]);
  const { x, d } = createPrivateKey({ key, format: 'der', type: 'pkcs8' }).export({ format: 'jwk' });
  key.fill(0);
  bytes.fill(0);
  if (x === undefined || d === undefined) throw new PerennialError('internal');
  const fingerprint = createHash('sha256').update(Buffer.from(x, 'base64url')).digest('hex').slice(0, 8);
  return { kid: `${keyId}-${fingerprint}`, jwk: { kty: 'OKP', crv: 'X25519', x, d } };
}
