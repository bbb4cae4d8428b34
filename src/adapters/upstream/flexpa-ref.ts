import { createHash } from 'node:crypto';
import type { Secret } from '../../core/secret.ts';

/** 128 bits: no two of any number of authorizations share one by chance. */
const REF_CHARS = 22;
/** A JWT's payload with many claims; more is not looked at. */
const PAYLOAD_MAX_CHARS = 16_384;

/**
 * What a source calls an authorization, as we keep it: a hash by which its webhooks find the authorization, and from which nobody reads the source's id back. Ids of sources are
 * random, so the hash needs no key.
 */
export function refOf({ source, id }: { readonly source: string; readonly id: string }): string {
  return createHash('sha256')
    .update(JSON.stringify([source, id]))
    .digest('base64url')
    .slice(0, REF_CHARS);
}

/**
 * The same from an access token that is a JWT: its subject is the authorization, or the consent it came from (contract, section 1.5). The signature is not checked: the token came
 * from the source itself, and all that hangs on it is which records a webhook makes us look at. Null for a token that is no JWT.
 */
export function refOfToken({
  source,
  accessToken,
}: {
  readonly source: string;
  readonly accessToken: Secret;
}): string | null {
  const payload = accessToken.reveal().split('.')[1];
  if (payload === undefined || payload.length > PAYLOAD_MAX_CHARS) return null;
  const subject = subjectOf(Buffer.from(payload, 'base64url').toString('utf8'));
  return subject === null ? null : refOf({ source, id: subject });
}

function subjectOf(text: string): string | null {
  try {
    const claims: unknown = JSON.parse(text);
    const subject: unknown = typeof claims === 'object' && claims !== null ? Reflect.get(claims, 'sub') : null;
    return typeof subject === 'string' && subject !== '' ? subject : null;
  } catch {
    return null;
  }
}
