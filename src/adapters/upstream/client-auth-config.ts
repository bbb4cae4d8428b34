import { z } from 'zod';
import { type KeyReading, readJwk, readKeyFile, SIGNING_ALGORITHMS } from './signing-key.ts';
import { urlSchema } from './urls.ts';

const secretSchema = z.string().min(1);
const keyIdSchema = z.string().min(1).max(200);

const privateKeyJwtSchema = z
  .strictObject({
    method: z.literal('private_key_jwt'),
    privateKey: z.looseObject({ kid: keyIdSchema.optional() }).optional(),
    privateKeyFile: z.string().min(1).optional(),
    algorithm: z.enum(SIGNING_ALGORITHMS),
    keyId: keyIdSchema.optional(),
    jwksUrl: urlSchema.optional(),
  })
  .transform((given, context) => {
    const { method, privateKey, privateKeyFile, jwksUrl } = given;
    const fault = (field: keyof typeof given, message: string): typeof z.NEVER => {
      context.addIssue({ code: 'custom', path: [field], message });
      return z.NEVER;
    };
    if ((privateKey === undefined) === (privateKeyFile === undefined)) {
      return fault('privateKey', 'must be given, or privateKeyFile, and not both');
    }
    const { reading, keyId } = keyOf(given);
    if (reading.kind === 'refused') {
      return fault(privateKey === undefined ? 'privateKeyFile' : 'privateKey', reading.fault);
    }
    // SMART has servers find the client's public key by it.
    if (keyId === undefined) return fault('keyId', 'must be given where the key has no kid');
    return { method, key: reading.key, keyId, jwksUrl };
  });

/** How a client proves to a SMART server who it is (contract, section 8.5). A private key is opened here, so that a bad one is refused at start. */
export const clientAuthSchema = z.discriminatedUnion('method', [
  z.strictObject({
    method: z.literal('client_secret_basic'),
    clientSecret: secretSchema,
    encoding: z.enum(['form', 'raw']).default('form'),
  }),
  z.strictObject({ method: z.literal('client_secret_post'), clientSecret: secretSchema }),
  z.strictObject({ method: z.literal('none') }),
  privateKeyJwtSchema,
]);

export type ClientAuthConfig = z.infer<typeof clientAuthSchema>;

function keyOf({
  privateKey,
  privateKeyFile,
  algorithm,
  keyId,
}: {
  readonly privateKey?: { readonly kid?: string | undefined } | undefined;
  readonly privateKeyFile?: string | undefined;
  readonly algorithm: (typeof SIGNING_ALGORITHMS)[number];
  readonly keyId?: string | undefined;
}): { readonly reading: KeyReading; readonly keyId: string | undefined } {
  if (privateKey !== undefined) {
    return { reading: readJwk({ jwk: { ...privateKey }, algorithm }), keyId: keyId ?? privateKey.kid };
  }
  const read = readKeyFile({ file: privateKeyFile ?? '', algorithm });
  return { reading: read.reading, keyId: keyId ?? read.keyId };
}
