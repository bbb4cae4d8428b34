import { CompactEncrypt, calculateJwkThumbprint, compactDecrypt, exportJWK, generateKeyPair } from 'jose';
import { z } from 'zod';
import { type AuthorizationRequest, idSchema, parseAuthorizationRequest } from '../../contract/wire.ts';
import { PerennialError } from '../../core/errors.ts';
import { LIMITS } from '../../core/limits.ts';

const ALG = 'ECDH-ES';
const ENC = 'A256GCM';

const limits = {
  /** base64url makes 4 characters of 3 bytes; header, ephemeral key, iv and tag stay under 1 kB. */
  sealedMaxChars: Math.ceil((LIMITS.requestMaxBytes * 4) / 3) + 1_024,
} as const;

const keyPart = z.string().regex(/^[A-Za-z0-9_-]{43}$/, 'must be 32 bytes as base64url');

/** The worker's public key as JWK; anything else that stands in the object, a private part above all, is cut off. */
export const publicJwkSchema = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('X25519'),
  x: keyPart,
  kid: z.string().min(1).max(128),
});
const privateJwkSchema = publicJwkSchema.omit({ kid: true }).extend({ d: keyPart });

export type PublicJwk = z.infer<typeof publicJwkSchema>;
type PrivateJwk = z.infer<typeof privateJwkSchema>;

/** The data of a job of the `intake` queue. `authorizationId` is for the dashboard: what counts is the id in the sealed request. */
export const intakeJobSchema = z.strictObject({
  authorizationId: idSchema,
  service: z.string().min(1).max(64),
  sealed: z.string().min(1).max(limits.sealedMaxChars).optional(),
});
export type IntakeJob = z.infer<typeof intakeJobSchema>;

/**
 * Seals a request to the worker's public key as a compact JWE (ECDH-ES on X25519, A256GCM), so that Redis never holds a token in clear.
 * @throws PerennialError `config_invalid` for a key of another kind, `body_too_large` for a request above the limit.
 */
export async function sealRequest({
  request,
  publicJwk,
}: {
  readonly request: AuthorizationRequest;
  readonly publicJwk: PublicJwk;
}): Promise<string> {
  const key = publicJwkSchema.safeParse(publicJwk);
  if (!key.success) throw new PerennialError('config_invalid', { field: 'workerKey' });
  const plain = new TextEncoder().encode(JSON.stringify(request));
  if (plain.byteLength > LIMITS.requestMaxBytes) throw new PerennialError('body_too_large');
  try {
    return await new CompactEncrypt(plain)
      .setProtectedHeader({ alg: ALG, enc: ENC, kid: key.data.kid })
      .encrypt({ ...key.data });
  } catch {
    throw new PerennialError('config_invalid', { field: 'workerKey' });
  }
}

/**
 * Opens what {@link sealRequest} sealed, with whichever of the keys the JWE names, so that keys can be rotated.
 * The opener rejects with `sealed_request_unreadable` (unknown key, altered bytes, other algorithms, compressed, too long, not
 * JSON) or `invalid_request` naming the field. @throws PerennialError `config_invalid` at once for a key of another kind.
 */
export function createOpener({
  privateJwks,
}: {
  readonly privateJwks: readonly { readonly kid: string; readonly jwk: PrivateJwk }[];
}): (jwe: string) => Promise<AuthorizationRequest> {
  const keys = new Map<string, PrivateJwk>();
  for (const { kid, jwk } of privateJwks) {
    const key = privateJwkSchema.safeParse(jwk);
    if (!key.success) throw new PerennialError('config_invalid', { field: 'intake key' });
    keys.set(kid, key.data);
  }
  return async (jwe) => parseAuthorizationRequest(await openJson(jwe, keys));
}

async function openJson(jwe: string, keys: ReadonlyMap<string, PrivateJwk>): Promise<unknown> {
  if (typeof jwe !== 'string' || jwe.length > limits.sealedMaxChars) {
    throw new PerennialError('sealed_request_unreadable');
  }
  try {
    const opened = await compactDecrypt(
      jwe,
      ({ kid }) => {
        const key = keys.get(kid ?? '');
        if (key === undefined) throw new PerennialError('sealed_request_unreadable');
        return { ...key };
      },
      { keyManagementAlgorithms: [ALG], contentEncryptionAlgorithms: [ENC], maxDecompressedLength: 0 },
    );
    const parsed: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(opened.plaintext));
    return parsed;
  } catch {
    throw new PerennialError('sealed_request_unreadable');
  }
}

/** Makes a new key pair for the intake; `kid` is the key's RFC 7638 thumbprint. The private half belongs into the keyring. */
export async function createIntakeKey(): Promise<{
  readonly kid: string;
  readonly publicJwk: PublicJwk;
  readonly privateJwk: PrivateJwk;
}> {
  const pair = await generateKeyPair(ALG, { crv: 'X25519', extractable: true });
  const jwk = await exportJWK(pair.privateKey);
  const kid = await calculateJwkThumbprint(jwk);
  return { kid, publicJwk: publicJwkSchema.parse({ ...jwk, kid }), privateJwk: privateJwkSchema.parse(jwk) };
}
