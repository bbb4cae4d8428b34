import { createHash, createPrivateKey } from 'node:crypto';
import { PerennialError } from '../../core/errors.ts';
import type { DataKey } from '../../core/ports/vault.ts';

/** A PKCS #8 wrapping of 32 raw bytes as an X25519 private key (RFC 8410). */
const PKCS8_X25519 = Buffer.from('302e020100300506032b656e04220420', 'hex');
const INFO = 'perennial/intake/v2';

type PublicX25519 = { readonly kty: 'OKP'; readonly crv: 'X25519'; readonly x: string };

export type IntakeKeys = {
  /** What producers seal their requests to. */
  readonly publicJwk: PublicX25519 & { readonly kid: string };
  readonly privateJwks: readonly { readonly kid: string; readonly jwk: PublicX25519 & { readonly d: string } }[];
};

/**
 * The intake's key pair, derived from the installation's own key and kept nowhere: every worker has the same one. Not from ENCRYPTION_KEYS: with those
 * and an old copy of Redis, requests of purged authorizations would open.
 */
export function deriveIntakeKeys(installation: Pick<DataKey, 'derive'>): IntakeKeys {
  const seed = Buffer.from(installation.derive(INFO));
  const key = Buffer.concat([PKCS8_X25519, seed]);
  const { x, d } = createPrivateKey({ key, format: 'der', type: 'pkcs8' }).export({ format: 'jwk' });
  key.fill(0);
  seed.fill(0);
  if (x === undefined || d === undefined) throw new PerennialError('internal');
  const kid = createHash('sha256').update(Buffer.from(x, 'base64url')).digest('hex').slice(0, 16);
  const publicJwk = { kty: 'OKP', crv: 'X25519', x } as const;
  return { publicJwk: { ...publicJwk, kid }, privateJwks: [{ kid, jwk: { ...publicJwk, d } }] };
}
