import { createPrivateKey, createPublicKey, type KeyObject, sign, verify, type webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** The two algorithms that SMART has clients and servers support. */
export const SIGNING_ALGORITHMS = ['RS384', 'ES384'] as const;
export type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number];

/** Below it OpenSSL's default level and most servers refuse an RSA key. */
const RSA_BITS_MIN = 2_048;

export type KeyReading =
  | { readonly kind: 'key'; readonly key: webcrypto.CryptoKey }
  /** `fault` is one of our own sentences: what the library says of a key may quote it. */
  | { readonly kind: 'refused'; readonly fault: string };

/** The private key of a client, from a JWK. It must sign by `algorithm`, and what it signs must verify with the JWK's public part. */
export function readJwk({
  jwk,
  algorithm,
}: {
  readonly jwk: Readonly<Record<string, unknown>>;
  readonly algorithm: SigningAlgorithm;
}): KeyReading {
  if (typeof jwk['d'] !== 'string') return refused('must be a private key, with its d');
  if (jwk['alg'] !== undefined && jwk['alg'] !== algorithm) return refused('is for another algorithm');
  const key = keyOf(() => createPrivateKey({ key: jwk, format: 'jwk' }));
  const publicPart = keyOf(() => createPublicKey({ key: publicPartOf(jwk), format: 'jwk' }));
  if (key === null || publicPart === null) return refused('is no key that can be read');
  const reading = readKey({ key, algorithm });
  return reading.kind === 'refused' || belongTogether(key, publicPart)
    ? reading
    : refused('has a public part that is not of its private part');
}

/** The private key of a client, from a file with a JWK or a PEM (PKCS #8, unencrypted). Gives the JWK's own id too. */
export function readKeyFile({ file, algorithm }: { readonly file: string; readonly algorithm: SigningAlgorithm }): {
  readonly reading: KeyReading;
  readonly keyId: string | undefined;
} {
  const text = textOf(file);
  if (text === null) return { reading: refused('cannot be read'), keyId: undefined };
  if (text.trimStart().startsWith('{')) {
    const jwk = objectOf(text);
    if (jwk === null) return { reading: refused('is no JSON'), keyId: undefined };
    return { reading: readJwk({ jwk, algorithm }), keyId: typeof jwk['kid'] === 'string' ? jwk['kid'] : undefined };
  }
  const key = keyOf(() => createPrivateKey(text));
  return {
    reading: key === null ? refused('is no private key that can be read') : readKey({ key, algorithm }),
    keyId: undefined,
  };
}

function readKey({ key, algorithm }: { readonly key: KeyObject; readonly algorithm: SigningAlgorithm }): KeyReading {
  const details = key.asymmetricKeyDetails;
  if (algorithm === 'RS384') {
    if (key.asymmetricKeyType !== 'rsa') return refused('is not of RSA, as RS384 needs');
    if ((details?.modulusLength ?? 0) < RSA_BITS_MIN) return refused(`has fewer than ${RSA_BITS_MIN} bits`);
    return { kind: 'key', key: key.toCryptoKey({ name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-384' }, false, ['sign']) };
  }
  if (key.asymmetricKeyType !== 'ec' || details?.namedCurve !== 'secp384r1') {
    return refused('is not on curve P-384, as ES384 needs');
  }
  return { kind: 'key', key: key.toCryptoKey({ name: 'ECDSA', namedCurve: 'P-384' }, false, ['sign']) };
}

function publicPartOf({ kty, crv, x, y, n, e }: Readonly<Record<string, unknown>>): webcrypto.JsonWebKey {
  return kty === 'RSA'
    ? { kty, n: textIn(n), e: textIn(e) }
    : { kty: textIn(kty), crv: textIn(crv), x: textIn(x), y: textIn(y) };
}

function textIn(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** OpenSSL refuses most keys whose parts are of two keys, but not each (another exponent passes), and a server would refuse every assertion with it. */
function belongTogether(key: KeyObject, publicPart: KeyObject): boolean {
  const probe = Buffer.from('perennial');
  try {
    return verify('sha384', probe, publicPart, sign('sha384', probe, key));
  } catch {
    return false;
  }
}

function keyOf(read: () => KeyObject): KeyObject | null {
  try {
    return read();
  } catch {
    return null;
  }
}

function textOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

function objectOf(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : null;
  } catch {
    return null;
  }
}

function refused(fault: string): KeyReading {
  return { kind: 'refused', fault };
}
