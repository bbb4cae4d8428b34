import { createECDH, createPrivateKey, hash, sign } from 'node:crypto';

export type Signer = {
  /** A compact ES256 JWT over `claims`. Synchronous, so that a refresh is one indivisible step. */
  readonly sign: (claims: Readonly<Record<string, unknown>>) => string;
  /** The public half as a JWK set, for `/.well-known/jwks.json`. */
  readonly jwks: { readonly keys: readonly Readonly<Record<string, string>>[] };
};

/** A signer whose P-256 key follows from the seed. */
export function createSigner(seed: number): Signer {
  const curve = createECDH('prime256v1');
  curve.setPrivateKey(hash('sha256', `perennial-sandbox/${seed}/signing-key`, 'buffer'));
  const point = curve.getPublicKey();
  // Uncompressed point: one marker byte, then x and y of 32 bytes each.
  const jwk = { kty: 'EC', crv: 'P-256', x: base64url(point.subarray(1, 33)), y: base64url(point.subarray(33)) };
  const key = createPrivateKey({ key: { ...jwk, d: base64url(privateScalar(curve.getPrivateKey())) }, format: 'jwk' });
  const kid = hash('sha256', `${jwk.x}.${jwk.y}`, 'base64url').slice(0, 16);
  const header = base64url(Buffer.from(JSON.stringify({ alg: 'ES256', typ: 'JWT', kid })));
  return {
    sign: (claims) => {
      const input = `${header}.${base64url(Buffer.from(JSON.stringify(claims)))}`;
      return `${input}.${base64url(sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }))}`;
    },
    jwks: { keys: [{ ...jwk, kid, alg: 'ES256', use: 'sig' }] },
  };
}

/** OpenSSL drops leading zeros; a JWK must not (RFC 7518, 6.2.2.1). */
function privateScalar(scalar: Buffer): Buffer {
  return Buffer.concat([Buffer.alloc(32 - scalar.length), scalar]);
}

function base64url(bytes: Buffer): string {
  return bytes.toString('base64url');
}
