import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { PerennialError } from '../../core/errors.ts';
import type { Notary, SigningJwk, Verifier } from '../../core/ports/notary.ts';
import type { DataKey } from '../../core/ports/vault.ts';

/** A PKCS #8 wrapping of 32 raw bytes as an Ed25519 private key (RFC 8410). */
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex');
const INFO = 'perennial/signing/v1';

/** The notary of an installation. Its key is derived and kept nowhere: every process of the installation has the same one, and a rotation of ENCRYPTION_KEYS leaves it. */
export function createNotary(installation: Pick<DataKey, 'derive'>): Notary {
  const seed = Buffer.from(installation.derive(INFO));
  const der = Buffer.concat([PKCS8_ED25519, seed]);
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  der.fill(0);
  seed.fill(0);
  const publicJwk = publicJwkOf(privateKey);
  const { kid: keyId } = publicJwk;
  return {
    ...createVerifier([publicJwk]),
    keyId,
    publicJwk,
    attest: (text) => {
      const hash = sha256(text);
      const signature = sign(null, Buffer.from(hash, 'base64url'), privateKey).toString('base64url');
      return { hash, signature, keyId };
    },
  };
}

/** What anybody can check who has the public keys. A key under a name that is not its own counts as unknown. */
export function createVerifier(keys: readonly SigningJwk[]): Verifier {
  const known = new Map<string, KeyObject>();
  for (const { kty, crv, x } of keys) {
    known.set(thumbprintOf(x), createPublicKey({ key: { kty, crv, x }, format: 'jwk' }));
  }
  return {
    hashOf: sha256,
    isSigned: ({ hash, signature, keyId }) => {
      const key = known.get(keyId);
      const [signed, bytes] = [Buffer.from(hash, 'base64url'), Buffer.from(signature, 'base64url')];
      // The last letter of base64url has bits that decoding drops: an altered one must not pass.
      if (key === undefined || bytes.toString('base64url') !== signature) return false;
      return verify(null, signed, key, bytes);
    },
  };
}

function publicJwkOf(privateKey: KeyObject): SigningJwk {
  const { x } = createPublicKey(privateKey).export({ format: 'jwk' });
  if (x === undefined) throw new PerennialError('internal');
  return { kty: 'OKP', crv: 'Ed25519', x, kid: thumbprintOf(x) };
}

/** RFC 7638: the members that make the key, sorted by name. */
function thumbprintOf(x: string): string {
  return sha256(JSON.stringify({ crv: 'Ed25519', kty: 'OKP', x }));
}

function sha256(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('base64url');
}
